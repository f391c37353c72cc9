namespace Bank.Benchmarks.Parties;

/// <summary>Asks for the same pages again and again, one after the other, as a scraper or an open page does.</summary>
internal sealed class Visitor(Uri address, TimeSpan interval, IReadOnlyList<string> pages) : IDisposable
{
    private readonly HttpClient _client = new() { BaseAddress = address };

    public int Answers { get; private set; }

    /// <summary>Of all answers.</summary>
    public long Bytes { get; private set; }

    /// <summary>Until told to stop, the first time at once.</summary>
    public async Task VisitAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(interval);
        try
        {
            do
            {
                foreach (var page in pages)
                {
                    Bytes += (await _client.GetByteArrayAsync(new Uri(page, UriKind.Relative), stop)).Length;
                    Answers++;
                }
            }
            while (await timer.WaitForNextTickAsync(stop));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Enough.
        }
    }

    public void Dispose() => _client.Dispose();
}
