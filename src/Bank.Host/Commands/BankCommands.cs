using System.CommandLine;
using System.CommandLine.Help;
using System.Runtime.InteropServices;
using Npgsql;
using Orleans.EventSourcing.Postgres.Schema;

namespace Bank.Host.Commands;

/// <summary>The commands behind <c>./bank</c>: what they are called, what their help says, what they end with.</summary>
public static class BankCommands
{
    private const string Environs =
        $"""
        Environment:
          BANK_DATA_DIR                   the private database (default .data)
          ASPNETCORE_URLS                 where the bank answers (default {HostSettings.DefaultUrls})
          ConnectionStrings__Bank         use this database and start none
          ConnectionStrings__BankOwner    the same database as its owner, for migrate and psql --owner
          BANK_ACCEPT_LOSING_MONEY=1      run on a server whose durability settings are off

        Exit codes:
           0 done                          16 durability settings are off
           1 failed                        17 database not migrated
          10 a bank runs there already     18 PostgreSQL missing
          11 port in use                   19 PostgreSQL failed
          12 database unreachable          20 migration refused
          13 database server too old       21 data directory unusable
          14 data directory of another     22 no bank runs
             PostgreSQL version
          15 .NET SDK missing              23 the record is not in order

        """;

    // Of a member of a cluster: longer than whoever routes requests takes to notice.
    private const double DrainDelay = 5;

    private static readonly IProgress<string> Progress = new Lines(Console.Out);

    // Where standard output is the answer: a document, or psql's.
    private static readonly IProgress<string> Aside = new Lines(Console.Error);

    /// <summary>Runs a command line to its end.</summary>
    /// <param name="arguments">As after <c>./bank</c>.</param>
    /// <param name="help">Where help and complaints about the arguments go; the console by default.</param>
    /// <returns>The exit code.</returns>
    public static Task<int> RunAsync(string[] arguments, TextWriter? help = null) =>
        Root().Parse(arguments).InvokeAsync(new()
        {
            // Signals are ours (see Guarded): closing a bank takes longer than the two seconds that the parser would give it.
            ProcessTerminationTimeout = null,
            EnableDefaultExceptionHandler = false,
            Output = help ?? Console.Out,
            Error = help ?? Console.Error,
        });

    private static Command Root()
    {
        var json = new Option<bool>("--json") { Description = "Write a JSON document" };
        var owner = new Option<bool>("--owner") { Description = "Connect as bank_owner instead of bank_app" };
        var yes = new Option<bool>("--yes") { Description = "Do not ask" };
        var more = new Dictionary<Command, string>();

        var up = Named(
            "up",
            "Starts the database, silo and gateway, until Ctrl-C",
            "",
            "ASPNETCORE_URLS=http://127.0.0.1:9000 ./bank up",
            "--role gateway");
        var role = new Option<string?>("--role")
        {
            Description = "One role of a deployment: all, silo or gateway. It shares the database of ConnectionStrings__Bank, "
                + "and waits for what is missing",
        };
        role.AcceptOnlyFromAmong("all", "silo", "gateway");
        var drain = new Option<double?>("--drain-delay")
        {
            Description = "Seconds to go on serving, no longer ready, when asked to end (default 5 with --role, else 0)",
        };
        // A member of ./bank cluster ends when whoever keeps it has ended, however that happened.
        var kept = new Option<bool>("--until-input-ends") { Hidden = true };
        up.Options.Add(role);
        up.Options.Add(drain);
        up.Options.Add(kept);
        up.SetAction((parsed, cancellation) =>
        {
            var asked = parsed.GetValue(role);
            var options = new Up.Options(
                asked is null ? null : Enum.Parse<Role>(asked, ignoreCase: true),
                Seconds(parsed.GetValue(drain) ?? (asked is null ? 0 : DrainDelay)));
            return parsed.GetValue(kept)
                ? Guarded(stop => UntilInputEndsAsync(end => Up.RunAsync(Settings, options, Progress, end), stop), PosixSignal.SIGTERM)
                : Guarded(stop => Up.RunAsync(Settings, options, Progress, stop));
        });

        var migrate = Named("migrate", "Brings the database forward to this build", "--json");
        migrate.Options.Add(json);
        migrate.SetAction((parsed, _) => Guarded(stop => Migrate.RunAsync(Settings, parsed.GetValue(json), Aside, stop)));

        var live = new Option<bool>("--live")
        {
            Description = "Ask only whether the process answers, ready or not: exit code 0 if it does. For who restarts one that does not",
        };
        var status = Named("status", "Tells what runs, and starts nothing", "", "--json", "--live");
        status.Options.Add(json);
        status.Options.Add(live);
        status.SetAction((parsed, _) => Guarded(stop => parsed.GetValue(live)
            ? Status.LiveAsync(Settings, parsed.GetValue(json), stop)
            : Status.RunAsync(Settings, parsed.GetValue(json), stop)));

        var close = Named("stop", "Closes the bank that runs on this data directory", "", "BANK_DATA_DIR=/srv/bank ./bank stop");
        close.SetAction((_, _) => Guarded(stop => Stop.RunAsync(Settings, Progress, stop)));

        var reset = Named("reset", "Removes the bank in this data directory, after asking", "", "--yes");
        reset.Options.Add(yes);
        reset.SetAction((parsed, _) => Guarded(stop => Reset.RunAsync(Settings, parsed.GetValue(yes), Progress, stop)));

        var doctor = Named("doctor", "Looks at everything that the bank needs", "", "--json");
        doctor.Options.Add(json);
        doctor.SetAction((parsed, _) => Guarded(stop => Doctor.RunAsync(Settings, parsed.GetValue(json), Aside, stop)));

        var psql = Named(
            "psql",
            "Opens PostgreSQL's shell on the bank's database; further arguments are psql's",
            "",
            "--owner -c 'select count(*) from journal.events'");
        psql.Options.Add(owner);
        psql.TreatUnmatchedTokensAsErrors = false;
        psql.SetAction((parsed, _) => Guarded(
            async stop => (ExitCode)await Psql.RunAsync(Settings, parsed.GetValue(owner), parsed.UnmatchedTokens, Aside, stop),
            PosixSignal.SIGTERM,
            PosixSignal.SIGHUP));

        var cluster = Cluster(Named, json);

        var check = Named("check", "Checks the whole record by itself, with SQL that shares nothing with the bank", "", "--json");
        check.Options.Add(json);
        check.SetAction((parsed, _) => Guarded(stop => Check.RunAsync(Settings, parsed.GetValue(json), Aside, stop)));

        var projections = ProjectionsOf(Named, json);

        // The launcher runs the tests and the benchmarks: what it builds for them is not the program that runs now.
        var test = Named("test", "Runs all tests", "");
        test.SetAction((_, _) => Guarded(_ => throw new CommandException(ExitCode.Failed, "./bank test and dotnet test run the tests.")));

        var bench = Named("bench", "Measures the bank beside what it is compared with", "", "grains --json figures.json", "--help");
        bench.SetAction((_, _) => Guarded(_ => throw new CommandException(ExitCode.Failed, "./bank bench runs the benchmarks.")));

        var root = new Command("./bank", "A bank that remembers everything: accounts are grains, every change is an event in PostgreSQL")
        {
            up, cluster, migrate, status, close, reset, doctor, psql, check, projections, test, bench,
            new HelpOption { Action = new HelpWithMore(more) }, new VersionOption(),
        };
        root.SetAction((_, _) => Guarded(stop => Up.RunAsync(Settings, new(null, TimeSpan.Zero), Progress, stop)));
        more[root] = Environs;
        return root;

        Command Named(string name, string description, params string[] examples)
        {
            var command = new Command(name, description);
            more[command] = "Examples:\n" + string.Join(
                '\n',
                examples.Select(example => example.Contains("./bank", StringComparison.Ordinal)
                    ? $"  {example}"
                    : $"  ./bank {name} {example}".TrimEnd())) + "\n";
            return command;
        }
    }

    private static Command ProjectionsOf(Func<string, string, string[], Command> named, Option<bool> json)
    {
        var projections = named("projections", "Tells how the read models stand", ["", "--json", "rebuild transactions"]);
        projections.Options.Add(json);
        projections.SetAction((parsed, _) => Guarded(stop => Projections.ListAsync(Settings, parsed.GetValue(json), Aside, stop)));

        var names = new Argument<string[]>("NAME") { Description = "Which ones", Arity = ArgumentArity.OneOrMore };
        var reason = new Option<string?>("--reason") { Description = "Why, for the record" };
        var rebuild = new Command("rebuild", "Fills new tables beside those that serve, and lets them take their place")
        {
            names, reason,
        };
        rebuild.SetAction((parsed, _) => Guarded(stop =>
            Projections.RebuildAsync(Settings, parsed.GetValue(names)!, parsed.GetValue(reason), Progress, stop)));
        projections.Subcommands.Add(rebuild);
        return projections;
    }

    private static HostSettings Settings => HostSettings.FromEnvironment();

    private static TimeSpan Seconds(double delay) => TimeSpan.FromSeconds(Math.Clamp(delay, 0, 600));

    private static Command Cluster(Func<string, string, string[], Command> named, Option<bool> json)
    {
        var silos = new Option<int>("--silos") { Description = "How many silos", DefaultValueFactory = _ => 3 };
        var gateways = new Option<int>("--gateways") { Description = "How many gateways", DefaultValueFactory = _ => 2 };
        var port = new Option<int?>("--port") { Description = "Port of the first gateway, others follow; wins over ASPNETCORE_URLS" };
        var restart = new Option<bool>("--restart") { Description = "Start a member that died again, with growing pauses" };
        silos.Validators.Add(AtLeastOne(silos));
        gateways.Validators.Add(AtLeastOne(gateways));
        var cluster = named(
            "cluster",
            "Runs silos and gateways as processes of this machine, until Ctrl-C",
            ["", "--silos 2 --gateways 1 --port 9000", "status", "kill silo 2", "start silo 2", "restart"]);
        var drain = new Option<double>("--drain-delay")
        {
            Description = "Seconds for which a member that is asked to end goes on serving, no longer ready",
            DefaultValueFactory = _ => DrainDelay,
        };
        foreach (var option in (Option[])[silos, gateways, port, restart, drain])
            cluster.Options.Add(option);
        cluster.SetAction((parsed, _) => Guarded(stop => ClusterCommand.RunAsync(
            Settings,
            new(
                parsed.GetValue(silos),
                parsed.GetValue(gateways),
                parsed.GetValue(port),
                parsed.GetValue(restart),
                Seconds(parsed.GetValue(drain))),
            Progress,
            stop)));

        var status = new Command("status", "Lists the members") { json };
        status.SetAction((parsed, _) => Guarded(stop => ClusterCommand.StatusAsync(Settings, parsed.GetValue(json), stop)));
        cluster.Subcommands.Add(status);
        foreach (var (act, description) in ((string, string)[])
            [
                ("kill", "Ends a member as kill -9 does"),
                ("freeze", "Stops a member as SIGSTOP does: it keeps its connections and answers nothing"),
                ("thaw", "Lets a frozen member go on"),
                ("start", "Starts a dead member again"),
                ("add", "Adds a member"),
            ])
        {
            var role = new Argument<string>("role") { Description = "silo or gateway" };
            role.AcceptOnlyFromAmong("silo", "gateway");
            var index = new Argument<int>("n") { Description = "Which of them, from 1" };
            var command = new Command(act, description) { role };
            if (act != "add")
                command.Arguments.Add(index);
            command.SetAction((parsed, _) => Guarded(stop => ClusterCommand.ActAsync(
                Settings, act, parsed.GetRequiredValue(role), act == "add" ? null : parsed.GetValue(index), stop)));
            cluster.Subcommands.Add(command);
        }

        var rolling = new Command("restart", "Restarts the members one after the other, under load");
        rolling.SetAction((_, _) => Guarded(stop => ClusterCommand.RestartAsync(Settings, stop)));
        cluster.Subcommands.Add(rolling);
        var stopping = new Command("stop", "Closes the cluster that runs on this data directory");
        stopping.SetAction((_, _) => Guarded(stop => ClusterCommand.StopAsync(Settings, Progress, stop)));
        cluster.Subcommands.Add(stopping);
        return cluster;

        static Action<System.CommandLine.Parsing.OptionResult> AtLeastOne(Option<int> option) => result =>
        {
            if (result.GetValueOrDefault<int>() < 1)
                result.AddError($"{option.Name} is at least 1.");
        };
    }

    private static async Task<ExitCode> UntilInputEndsAsync(Func<CancellationToken, Task<ExitCode>> command, CancellationToken stop)
    {
        // What a terminal sends it sends to all of its processes, and whoever keeps this one ends it when its turn has come.
        var ignored = ((PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGHUP, PosixSignal.SIGQUIT])
            .Select(signal => PosixSignalRegistration.Create(signal, received => received.Cancel = true)).ToList();
        // Lives as long as the process, as the input does.
        var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        _ = EndWithInputAsync(end);
        try
        {
            return await command(end.Token);
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            return ExitCode.Done;
        }
        finally
        {
            ignored.ForEach(registration => registration.Dispose());
        }
    }

    private static async Task EndWithInputAsync(CancellationTokenSource end)
    {
        using var input = Console.OpenStandardInput();
        var ignored = new byte[64];
        while (await input.ReadAsync(ignored) > 0)
        {
        }

        await end.CancelAsync();
    }

    private static Task<int> Guarded(Func<CancellationToken, Task<ExitCode>> command) =>
        Guarded(command, PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT);

    private static async Task<int> Guarded(Func<CancellationToken, Task<ExitCode>> command, params PosixSignal[] signals)
    {
        using var stop = new CancellationTokenSource();
        var registrations = signals.Select(signal => PosixSignalRegistration.Create(
            signal,
            received =>
            {
                // Without this the runtime would end the process before anything was finished.
                received.Cancel = true;
                stop.Cancel();
            })).ToList();
        try
        {
            return (int)await command(stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return (int)ExitCode.Done;
        }
        catch (CommandException e)
        {
            return Say(e.ExitCode, e.Message);
        }
        catch (MigrationException e)
        {
            return Say(ExitCode.MigrationRefused, e.Message);
        }
        catch (Exception e) when (IsOfSettings(e))
        {
            return Say(ExitCode.Failed, e.Message);
        }
        catch (NpgsqlException e)
        {
            return Say(ExitCode.DatabaseUnreachable, $"The database was lost, or refused what it was asked: {e.Message}");
        }
        finally
        {
            registrations.ForEach(registration => registration.Dispose());
        }
    }

    // A setting that cannot be read, or that does not fit to others; the message names it.
    private static bool IsOfSettings(Exception e) =>
        e is OrleansConfigurationException or InvalidOperationException { Source: "Microsoft.Extensions.Configuration.Binder" };

    private static int Say(ExitCode code, string sentence)
    {
        Console.Error.WriteLine($"bank: {sentence}");
        return (int)code;
    }

    // Progress<T> would report through the thread pool, and lines could change their order.
    private sealed class Lines(TextWriter writer) : IProgress<string>
    {
        public void Report(string value) => writer.WriteLine($"bank: {value}");
    }
}
