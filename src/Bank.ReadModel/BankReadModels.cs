using Bank.ReadModel.Accounts;
using Bank.ReadModel.DailyTotals;
using Bank.ReadModel.Transactions;
using Bank.ReadModel.Transfers;
using Microsoft.Extensions.DependencyInjection;
using Orleans.EventSourcing.Postgres;
using Orleans.Hosting;

namespace Bank.ReadModel;

/// <summary>The read models of the bank, and how they are read.</summary>
public static class BankReadModels
{
    /// <summary>Adds them to those that a silo runs.</summary>
    public static void AddBank(this ProjectionOptions options)
    {
        options.Projections.Add(new AccountsProjection());
        options.Projections.Add(new TransactionsProjection());
        options.Projections.Add(new TransfersProjection());
        options.Projections.Add(new DailyTotalsProjection());
    }

    /// <summary>Adds the queries, to a silo or to a client of the cluster.</summary>
    /// <param name="services">Of the host.</param>
    /// <param name="connectionString">The database, as <c>bank_app</c>.</param>
    /// <param name="partitions">How many partitions the projections have.</param>
    public static IServiceCollection AddBankQueries(this IServiceCollection services, string connectionString, int partitions)
    {
        services.AddProjectionWaits(partitions);
        services.AddSingleton(s => new ReadModels(ReadModels.Connect(connectionString), s.GetRequiredService<ProjectionWaits>()));
        services.AddSingleton(s => new ProjectionStatusReader(s.GetRequiredService<ReadModels>().Database));
        services.AddSingleton<AccountQuery>();
        services.AddSingleton<TransactionQuery>();
        services.AddSingleton<TransferQuery>();
        services.AddSingleton<DailyTotalsQuery>();
        return services;
    }
}
