using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Bank.Contracts;
using Bank.Grains.TestHost;
using Bank.Grains.Transfers;
using Bank.Host.Health;
using Bank.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Core.Internal;
using Orleans.EventSourcing.Postgres;
using Xunit;

namespace Bank.Grains.Tests.Transfers;

/// <summary>A watchdog that loses patience soon, over a silo that can be held.</summary>
public sealed class WatchdogTests(PrivatePostgres postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly Dictionary<string, string?> Impatient = new()
    {
        ["Bank:TransferOverdueAfter"] = "00:00:01",
        ["Bank:TransferWatchInterval"] = "00:00:00.2",
    };

    private readonly FaultPoints points = new();
    private readonly Lines log = new();
    private TestDatabase database = null!;
    private NpgsqlDataSource owner = null!;
    private RunningSilo silo = null!;

    private TransferWatch Watch => silo.Services.GetRequiredService<TransferWatch>();

    public async ValueTask InitializeAsync()
    {
        database = await postgres.CreateDatabaseAsync();
        owner = NpgsqlDataSource.Create(database.Owner);
        silo = await RunningSilo.StartAsync(database.App, "bank", Impatient, services =>
        {
            points.Decorate(services);
            services.AddSingleton<ILoggerProvider>(log);
        });
    }

    public async ValueTask DisposeAsync()
    {
        await silo.DisposeAsync();
        await owner.DisposeAsync();
    }

    [Fact]
    public async Task A_transfer_that_is_overdue_shows_in_the_log_in_the_counts_and_in_the_metrics_until_it_has_ended()
    {
        var (transfer, source, destination) = (Guid.NewGuid(), await silo.Grains.OpenAsync(100_00), await silo.Grains.OpenAsync(0));
        var credit = points.Hold(destination, "Receive", Side.Before);
        var request = silo.Grains.TransferAsync(transfer, source, destination, 10_00);
        await credit.Reached;

        // Its client is told where to look, and what has left the source.
        var reply = await request;
        Assert.Equal((ReplyStatus.Done, "running", null, 90_00), (reply.Status, reply.Transfer, reply.Code, reply.BalanceMinorUnits));
        await Eventually.UntilAsync(
            "the log names the transfer and its phase",
            () => log.Any(line => line.Contains($"Transfer {transfer} has been in phase receiving", StringComparison.Ordinal)),
            Patience);
        await CountsAsync(1, 1);
        Assert.Equal((1, 1), (Measure("saga.open"), Measure("saga.overdue")));

        credit.Release();
        await CountsAsync(0, 0);
        await Eventually.UntilAsync("the metrics say so too", () => Measure("saga.open") + Measure("saga.overdue") == 0, Patience);
    }

    // The phases of the table come from SQL.
    [Fact]
    public async Task The_table_of_open_transfers_knows_the_phase_of_each()
    {
        (SagaPoint Point, string Phase)[] phases =
        [
            (new(Way.Completed, "source", "Send", Side.Before), "sending"),
            (new(Way.Completed, "destination", "Receive", Side.Before), "receiving"),
            (new(Way.Completed, "transfer", "TransferCompleted", Side.Before), "completing"),
            (new(Way.Rejected, "transfer", "TransferRejected", Side.Before), "completing"),
            (new(Way.Failed, "transfer", "ReturnDecided", Side.Before), "returning"),
            (new(Way.Failed, "source", "Return", Side.Before), "returning"),
            (new(Way.Failed, "transfer", "TransferFailed", Side.Before), "completing"),
        ];
        await Task.WhenAll(phases.Select(async known =>
        {
            var (_, transfer, _, _) = await known.Point.StopAsync(silo.Grains, points);
            await Eventually.UntilAsync(
                $"the transfer that was stopped {known.Point} is {known.Phase}",
                () => ScalarAsync<string?>($"SELECT max(phase) FROM work.open_transfers WHERE transfer_id = '{transfer}'"),
                seen => seen == known.Phase,
                Patience);
        }));
    }

    [Fact]
    public async Task A_transfer_that_cannot_be_loaded_keeps_neither_the_others_nor_the_silo_from_going_on()
    {
        var damaged = Guid.NewGuid();
        var broken = new NewEvent(Guid.NewGuid(), "TransferRequested", 1, "{}"u8.ToArray(), "{}"u8.ToArray());
        Assert.IsType<AppendOutcome.Appended>(await silo.Services.GetRequiredService<IJournal>().AppendAsync(
            new($"transfer-{damaged}", StreamState.Empty, [broken], new())));
        await Eventually.UntilAsync(
            "the log tells of the damaged one twice, so that the watchdog has gone on after the first",
            () => log.Count(line => line.StartsWith($"Transfer {damaged} could not be resumed", StringComparison.Ordinal)) >= 2,
            Patience);

        await InterruptedAndResumedAsync(await silo.Grains.OpenAsync(100_00), await silo.Grains.OpenAsync(0));
    }

    [Fact]
    public async Task A_table_that_is_not_of_this_journal_is_folded_anew()
    {
        var (transfer, source, destination) = (Guid.NewGuid(), await silo.Grains.OpenAsync(100_00), await silo.Grains.OpenAsync(0));
        var credit = points.Hold(destination, "Receive", Side.Before);
        _ = silo.Grains.TransferAsync(transfer, source, destination, 10_00);
        await credit.Reached;

        string[] restored =
        [
            "DELETE FROM work.checkpoints",
            "UPDATE work.checkpoints SET position = position + 1000",
            "UPDATE work.checkpoints SET event_id = gen_random_uuid()",
        ];
        foreach (var checkpoint in restored)
        {
            await CountsAsync(1);
            await ScalarAsync<object>(
                $"""
                DELETE FROM work.open_transfers;
                INSERT INTO work.open_transfers VALUES (gen_random_uuid(), 'sending', 1, now(), now());
                {checkpoint};
                """);
            await Eventually.UntilAsync(
                $"after {checkpoint} the transfer that is open is the only one in the table",
                () => ScalarAsync<string>("SELECT string_agg(transfer_id::text, ' ') FROM work.open_transfers"),
                seen => seen == $"{transfer}",
                Patience);
        }

        credit.Release();
        await CountsAsync(0);
    }

    [Fact]
    public async Task More_transfers_than_are_resumed_at_once_and_none_of_them_to_be_helped_keep_nobody_else_waiting()
    {
        var (source, destination) = (await silo.Grains.OpenAsync(100_00), await silo.Grains.OpenAsync(0));
        await Eventually.UntilAsync(
            "the table has begun",
            () => ScalarAsync<long>("SELECT position FROM work.checkpoints"),
            position => position == 2,
            Patience);
        // Before the last of them has been resumed, the first is overdue again.
        await ScalarAsync<object>(
            $"""
            INSERT INTO work.open_transfers SELECT gen_random_uuid(), 'sending', 1, now() - interval '1 hour'
            FROM generate_series(1, {64 * TransferWatchdogGrain.AtOnce})
            """);
        await Eventually.UntilAsync(
            "a round has begun", () => log.Any(line => line.Contains("in phase sending", StringComparison.Ordinal)), Patience);
        await InterruptedAndResumedAsync(source, destination);
    }

    [Fact]
    public async Task A_watchdog_that_cannot_look_at_the_record_is_seen()
    {
        await ScalarAsync<object>("REVOKE EXECUTE ON FUNCTION work.follow_transfers FROM bank_app");
        await silo.Grains.OpenAsync(100_00);
        await Eventually.UntilAsync(
            "the counts say how far it is behind",
            () => Watch.CountAsync(TestContext.Current.CancellationToken),
            counts => counts.BehindSeconds > 1,
            Patience);
        var health = await new OverdueTransfers(Watch, silo.Services.GetRequiredService<BankOptions>()).CheckHealthAsync(
            new(), TestContext.Current.CancellationToken);
        Assert.Equal(HealthStatus.Degraded, health.Status);
        await Eventually.UntilAsync("the metric says so too", () => Measure("saga.behind") > 1, Patience);

        await ScalarAsync<object>("GRANT EXECUTE ON FUNCTION work.follow_transfers TO bank_app");
        await Eventually.UntilAsync("the metric is at rest", () => Measure("saga.behind") == 0, Patience);
    }

    [Fact]
    public async Task A_clock_that_was_set_back_delays_nothing()
    {
        await ScalarAsync<object>(
            """
            SET journal.procedure = 'journal.append';
            UPDATE journal.head SET recorded_at = now() + interval '1 hour';
            RESET journal.procedure;
            """);
        var (transfer, source, destination) = (Guid.NewGuid(), await silo.Grains.OpenAsync(100_00), await silo.Grains.OpenAsync(0));
        var credit = points.Hold(destination, "Receive", Side.Before);
        _ = silo.Grains.TransferAsync(transfer, source, destination, 10_00);
        await credit.Reached;
        await CountsAsync(1, 1);
        credit.Release();
        await CountsAsync(0, 0);
    }

    [Fact]
    public async Task A_client_that_was_told_that_the_money_has_arrived_is_told_so_again()
    {
        var (transfer, source, destination) = (Guid.NewGuid(), await silo.Grains.OpenAsync(100_00), await silo.Grains.OpenAsync(0));
        var completed = points.Hold(transfer, "TransferCompleted", Side.Before);
        var first = await silo.Grains.TransferAsync(transfer, source, destination, 10_00);
        await completed.Reached;
        completed.Release(AppendOutcome.Unavailable.Instance);
        Assert.Equal(("completed", 90_00), (first.Transfer, first.BalanceMinorUnits));

        // The next activation knows of the request only, and its driver comes no further than the first question.
        var question = points.Hold(destination, "AskDestination", Side.Before);
        await silo.Grains.GetGrain<ITransferGrain>(transfer).Cast<IGrainManagementExtension>().DeactivateOnIdle(
            TestContext.Current.CancellationToken);
        var again = silo.Grains.TransferAsync(transfer, source, destination, 10_00);
        await question.Reached;
        var second = await again;
        Assert.Equal(first with { Replayed = true }, second);
        question.Release();
    }

    // The driver of a transfer goes with the activation that could not finish in; the watchdog sees to it.
    private async Task InterruptedAndResumedAsync(Guid source, Guid destination)
    {
        var transfer = Guid.NewGuid();
        var sent = points.Hold(source, "TransferSent", Side.Before);
        var request = silo.Grains.TransferAsync(transfer, source, destination, 10_00);
        await sent.Reached;
        sent.Release(AppendOutcome.Unavailable.Instance);
        Assert.Equal("running", (await request).Transfer);
        points.At(source, "TransferSent", Side.Before, () => Task.CompletedTask);
        await Eventually.UntilAsync(
            "the transfer has been resumed",
            () => ScalarAsync<long>($"SELECT count(*) FROM journal.events WHERE stream_id = 'transfer-{transfer}'"),
            events => events == 2,
            Patience);
    }

    private async Task CountsAsync(long open, long? overdue = null) => await Eventually.UntilAsync(
        $"{open} transfers are open{(overdue is null ? "" : $" and {overdue} overdue")}",
        () => Watch.CountAsync(TestContext.Current.CancellationToken),
        counts => counts.Open == open && (overdue is null || counts.Overdue == overdue),
        Patience);

    private async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = owner.CreateCommand(sql);
        return await command.ExecuteScalarAsync(TestContext.Current.CancellationToken) is T value ? value : default!;
    }

    // Of all meters of that name in this process only those of this silo count.
    private long Measure(string instrument)
    {
        long measured = -1;
        using var listener = new MeterListener
        {
            InstrumentPublished = (published, listening) =>
            {
                if (published.Meter.Name == BankMetrics.MeterName && published.Name == instrument
                    && ReferenceEquals(published.Meter.Scope, silo.Services.GetRequiredService<IMeterFactory>()))
                    listening.EnableMeasurementEvents(published);
            },
        };
        listener.SetMeasurementEventCallback<long>((_, value, _, _) => measured = value);
        listener.SetMeasurementEventCallback<double>((_, value, _, _) => measured = (long)value);
        listener.Start();
        listener.RecordObservableInstruments();
        return measured;
    }

    private sealed class Lines : ConcurrentQueue<string>, ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
