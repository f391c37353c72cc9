using Bank.ReadModel.Accounts;
using Bank.ReadModel.DailyTotals;
using Bank.ReadModel.Transactions;
using Bank.ReadModel.Transfers;
using Orleans.EventSourcing.Postgres;

namespace Bank.Grains.Projections;

[GrainType("projection-accounts"), ImplicitStreamSubscription(JournalStreams.Projections)]
internal sealed class AccountsGrain(ProjectionRuntime runtime) : ProjectionGrain(AccountsProjection.ProjectionName, runtime);

[GrainType("projection-transactions"), ImplicitStreamSubscription(JournalStreams.Projections)]
internal sealed class TransactionsGrain(ProjectionRuntime runtime) : ProjectionGrain(TransactionsProjection.ProjectionName, runtime);

[GrainType("projection-transfers"), ImplicitStreamSubscription(JournalStreams.Projections)]
internal sealed class TransfersGrain(ProjectionRuntime runtime) : ProjectionGrain(TransfersProjection.ProjectionName, runtime);

[GrainType("projection-daily_totals"), ImplicitStreamSubscription(JournalStreams.Projections)]
internal sealed class DailyTotalsGrain(ProjectionRuntime runtime) : ProjectionGrain(DailyTotalsProjection.ProjectionName, runtime);
