using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Bank.Host.Postgres;
using Npgsql;
using Orleans.EventSourcing.Postgres;
using Spectre.Console;

namespace Bank.Host.Commands;

/// <summary><c>./bank projections</c>: how the read models stand, and their rebuild with its progress.</summary>
internal static class Projections
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>Lists them, whether a bank runs or not.</summary>
    public static async Task<ExitCode> ListAsync(HostSettings settings, bool json, IProgress<string> progress, CancellationToken stop)
    {
        await using var database = await Database.OpenAsync(settings, progress, stop);
        await using var source = NpgsqlDataSource.Create(database.App);
        var items = await ReadAsync(source, stop);
        Console.Out.WriteLine(json
            ? JsonSerializer.Serialize(new { items }, HostSettings.Json)
            : string.Join('\n', items.SelectMany(Lines)));
        return ExitCode.Done;
    }

    /// <summary>Asks the bank that runs to fill new tables, and shows how far it is until they serve.</summary>
    public static async Task<ExitCode> RebuildAsync(
        HostSettings settings, IReadOnlyList<string> names, string? reason, IProgress<string> progress, CancellationToken stop)
    {
        var address = settings.ExternalApp is not null ? settings.Address
            : (await RunningHost.FindAsync(settings.DataDirectory, stop))?.Address
            ?? throw new CommandException(ExitCode.NotRunning, $"No bank runs on {settings.DataDirectory}: ./bank up starts one.");
        await using var database = await Database.OpenAsync(settings, progress, stop);
        await using var source = NpgsqlDataSource.Create(database.App);
        var before = (await ReadAsync(source, stop)).ToDictionary(p => p.Name, p => p.Generation);
        if (names.FirstOrDefault(n => !before.ContainsKey(n)) is { } unknown)
            throw new CommandException(
                ExitCode.Failed, $"There is no projection {unknown}; there are {string.Join(", ", before.Keys)}.");
        foreach (var name in names)
            await AskAsync(address, name, reason, stop);

        if (AnsiConsole.Profile.Capabilities.Interactive)
            await AnsiConsole.Progress()
                .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
                .StartAsync(context => ShowAsync(source, names, before, Bars(context, names), stop));
        else
            await ShowAsync(source, names, before, Steps(progress), stop);
        return ExitCode.Done;
    }

    private static async Task AskAsync(string address, string name, string? reason, CancellationToken stop)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
        try
        {
            using var answer = await client.PostAsJsonAsync(
                new Uri($"{address}/api/v1/projections/{name}/rebuild"), new { reason }, HostSettings.Json, stop);
            if (answer.StatusCode == HttpStatusCode.Accepted)
                return;
            var problem = JsonNode.Parse(await answer.Content.ReadAsStringAsync(stop));
            throw new CommandException(
                ExitCode.Failed, $"The bank does not rebuild {name}: {problem?["code"]} {problem?["detail"]}".TrimEnd());
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or TaskCanceledException && !stop.IsCancellationRequested)
        {
            throw new CommandException(ExitCode.Failed, $"The bank on {address} does not answer: {e.Message}", e);
        }
    }

    // Calls back with how far each one is, until all serve what was asked for.
    private static async Task ShowAsync(
        NpgsqlDataSource source, IReadOnlyList<string> names, Dictionary<string, int> before, Action<string, decimal, decimal> show,
        CancellationToken stop)
    {
        var began = TimeProvider.System.GetTimestamp();
        var left = names.ToHashSet();
        while (left.Count > 0)
        {
            foreach (var status in await ReadAsync(source, stop))
            {
                if (!left.Contains(status.Name))
                    continue;
                if (status.State is "parked" or "paused")
                    throw new CommandException(
                        ExitCode.Failed, $"{status.Name} is {status.State}; its rebuild waits until that has ended.");
                var done = status.Generation > before[status.Name];
                var part = done ? 1 : status.Progress ?? 0;
                var events = part * (status.LagEvents + status.Partitions.Min(p => p.Position));
                var seconds = (decimal)TimeProvider.System.GetElapsedTime(began).TotalSeconds;
                show(status.Name, part, events / Math.Max(seconds, 0.001m));
                if (done)
                    left.Remove(status.Name);
            }

            if (left.Count > 0)
                await Task.Delay(Interval, TimeProvider.System, stop);
        }
    }

    private static Action<string, decimal, decimal> Bars(ProgressContext context, IReadOnlyList<string> names)
    {
        var bars = names.ToDictionary(name => name, name => context.AddTask(name));
        return (name, part, rate) =>
        {
            bars[name].Description = string.Create(CultureInfo.InvariantCulture, $"{name} {rate:n0} events/s");
            bars[name].Value = (double)part * 100;
        };
    }

    // Where nobody watches: a line for each tenth.
    private static Action<string, decimal, decimal> Steps(IProgress<string> progress)
    {
        var told = new Dictionary<string, int>();
        return (name, part, rate) =>
        {
            var tenth = (int)(part * 10);
            if (told.TryGetValue(name, out var last) && last >= tenth)
                return;
            told[name] = tenth;
            progress.Report(string.Create(CultureInfo.InvariantCulture, $"{name}: {part:p0}, {rate:n0} events/s"));
        };
    }

    private static Task<IReadOnlyList<ProjectionStatus>> ReadAsync(NpgsqlDataSource source, CancellationToken stop) =>
        new ProjectionStatusReader(source).ReadAsync(stop);

    private static IEnumerable<string> Lines(ProjectionStatus status)
    {
        var progress = status.Progress is { } part ? string.Create(CultureInfo.InvariantCulture, $" ({part:p0})") : "";
        yield return string.Create(
            CultureInfo.InvariantCulture,
            $"{status.Name,-14} {status.State}{progress}, generation {status.Generation}, fold version {status.FoldVersion}, " +
            $"behind {status.LagEvents} events, {status.LagSeconds} s");
        foreach (var partition in status.Partitions)
        {
            if (partition.Parked is { } parked)
                yield return $"  partition {partition.N} has parked: {parked.Reason}";
        }
    }
}
