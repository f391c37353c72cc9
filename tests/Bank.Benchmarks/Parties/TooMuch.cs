using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Bank.Benchmarks.Measuring;

namespace Bank.Benchmarks.Parties;

/// <summary>Deposits over HTTP, as many as the product takes, or so many a second whatever it takes.</summary>
internal sealed class TooMuch(BankOverHttp bank) : IDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(10);

    private readonly HttpClient _client = new() { BaseAddress = bank.Address };

    /// <summary>What became of what was offered.</summary>
    public sealed record Outcome(LoadResult Accepted, LoadResult Refused, double MemoryMegabytes);

    private readonly record struct Answer(bool IsAccepted, TimeSpan Took);

    /// <summary>Each of the callers asks again when it was answered; nobody may be refused.</summary>
    public Task<LoadResult> CapacityAsync(int callers, TimeSpan time, CancellationToken cancellation) => Load.RunAsync(
        callers, time,
        async _ =>
        {
            if (!(await DepositAsync()).IsAccepted)
                throw new InvalidOperationException("A deposit was refused before there was too much.");
        },
        cancellation);

    /// <summary>Sends at a rate and waits for nobody.</summary>
    public async Task<Outcome> OfferAsync(double perSecond, TimeSpan time, CancellationToken cancellation)
    {
        var answers = new ConcurrentBag<Answer>();
        var (sent, began, pending) = (0L, Stopwatch.GetTimestamp(), new List<Task>());
        using var timer = new PeriodicTimer(Tick);
        while (Stopwatch.GetElapsedTime(began) < time && await timer.WaitForNextTickAsync(cancellation))
        {
            for (var due = (long)(Stopwatch.GetElapsedTime(began).TotalSeconds * perSecond); sent < due; sent++)
                pending.Add(AnswerAsync());
            pending.RemoveAll(task => task.IsCompletedSuccessfully);
        }

        using var host = Process.GetProcessById(bank.ProcessId);
        var (memory, took) = (host.WorkingSet64, Stopwatch.GetElapsedTime(began));
        await Task.WhenAll(pending);
        return new(Of(true), Of(false), memory / (double)(1 << 20));

        async Task AnswerAsync() => answers.Add(await DepositAsync());

        LoadResult Of(bool accepted)
        {
            var latencies = answers.Where(answer => answer.IsAccepted == accepted).Select(answer => answer.Took).Order().ToList();
            return new(latencies.Count / took.TotalSeconds, latencies);
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<Answer> DepositAsync()
    {
        var began = Stopwatch.GetTimestamp();
        using var request = BankOverHttp.Deposit(bank.Accounts[Random.Shared.Next(bank.Accounts.Count)]);
        using var response = await _client.SendAsync(request, CancellationToken.None).ConfigureAwait(false);
        var took = Stopwatch.GetElapsedTime(began);
        if (response.StatusCode == HttpStatusCode.OK)
            return new(true, took);
        var body = await response.Content.ReadAsStringAsync(CancellationToken.None).ConfigureAwait(false);
        return response.StatusCode == HttpStatusCode.ServiceUnavailable && response.Headers.RetryAfter is not null
            && body.Contains("\"overloaded\"", StringComparison.Ordinal)
                ? new(false, took)
                : throw new InvalidOperationException($"Too much was answered with {response.StatusCode}: {body}");
    }
}
