using System.CommandLine;
using System.CommandLine.Help;
using System.Runtime.InteropServices;
using Bank.Benchmarks;
using Bank.Benchmarks.Measuring;
using Bank.Benchmarks.Scenarios;
using Bank.Host;

Scenario[] scenarios =
[
    // First: what others have left in this process would count.
    new Memory(),
    new Article(),
    new Writer(),
    new Grains(),
    new Product(),
    new Hot(),
    new Peers(),
    new Http(),
    new Cold(),
    new Replays(),
    new Overload(),
    new Transfers(),
    new Streams(),
    new Projections(),
    new Idle(),
    new Cost(),
    new Growth(),
    new Scale(),
    new Cluster(),
    new Overhead(),
];

var names = new Argument<string[]>("names")
{
    Description = "What to measure; by default everything but what runs by name only",
    HelpName = "NAME",
    Arity = ArgumentArity.ZeroOrMore,
};
names.AcceptOnlyFromAmong([.. scenarios.Select(scenario => scenario.Name)]);
var json = new Option<FileInfo?>("--json") { Description = "Write the figures to this file as JSON too", HelpName = "FILE" };
var quick = new Option<bool>("--quick") { Description = "Only see that it works: the figures mean nothing" };
var bench = new Command(
    "bench",
    "Measures the bank against what it is compared with, on a private PostgreSQL with default durability.\n\n"
    + string.Join('\n', scenarios.Select(scenario => $"  {scenario.Name,-12} {scenario.About}")))
{
    names, json, quick, new HelpOption(),
};
bench.SetAction(async (parsed, _) =>
{
    // The private servers must be ended in order, which takes longer than the parser would give it.
    using var stop = new CancellationTokenSource();
    PosixSignalRegistration[] registrations =
        [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP }.Select(signal => PosixSignalRegistration.Create(
            signal,
            received =>
            {
                received.Cancel = true;
                stop.Cancel();
            }))];
    try
    {
        var pace = parsed.GetValue(quick) ? Pace.Quick : Pace.Full;
        var chosen = scenarios.Where(scenario => parsed.GetValue(names) is { Length: > 0 } some
            ? some.Contains(scenario.Name)
            : pace.IsQuick || !scenario.OnlyByName);
        var report = await Run.AllAsync([.. chosen], pace, Console.Out, stop.Token);
        if (parsed.GetValue(json) is { } file)
            await File.WriteAllTextAsync(file.FullName, report.ToJson() + "\n", stop.Token);
        return 0;
    }
    catch (OperationCanceledException) when (stop.IsCancellationRequested)
    {
        return 130;
    }
    catch (CommandException e)
    {
        Console.Error.WriteLine($"bank: {e.Message}");
        return (int)e.ExitCode;
    }
    finally
    {
        Array.ForEach(registrations, registration => registration.Dispose());
    }
});
// As it is typed, so that help and complaints say so.
return await new Command("./bank") { bench }.Parse(["bench", .. args])
    .InvokeAsync(new() { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false });
