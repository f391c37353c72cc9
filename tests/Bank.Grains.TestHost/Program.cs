using System.Collections.Concurrent;
using System.Globalization;
using Bank.Contracts;
using Bank.Grains.TestHost;
using Bank.Host;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Metadata;
using Orleans.Runtime;

// A silo of the product's composition in a process of its own, to be killed. It says where it is, and then does what it is told, line by
// line, until its input ends, because whoever started it is gone:
//
//   hold TRIAL                            stops that transfer at its point, when it comes there in this silo, and says so
//   begin TRIAL [TRANSFER SOURCE DEST]    opens the accounts and asks for the transfer (in these silos), again until it has ended
//   release                               lets go whatever was stopped
if (args is not [var connectionString, var siloPort, var gatewayPort])
    return 1;

var points = new FaultPoints();
var builder = Host.CreateApplicationBuilder();
builder.Logging.ClearProviders();
builder.AddBankSilo(
    connectionString, int.Parse(siloPort, CultureInfo.InvariantCulture), int.Parse(gatewayPort, CultureInfo.InvariantCulture));
points.Decorate(builder.Services);
using var host = builder.Build();
await host.StartAsync();
var grains = host.Services.GetRequiredService<IGrainFactory>();
Console.WriteLine($"open {host.Services.GetRequiredService<ILocalSiloDetails>().SiloAddress.ToParsableString()}");

var holds = new ConcurrentBag<Hold>();
while (await Console.In.ReadLineAsync() is { } line)
{
    switch (line.Split(' '))
    {
        case ["hold", .. var words]:
            var hold = Trial.Parse(words).Hold(grains, points);
            holds.Add(hold);
            _ = hold.Reached.ContinueWith(_ => Console.WriteLine($"stopped {words[1]}"), TaskScheduler.Default);
            Console.WriteLine($"holds {words[1]}");
            break;
        case ["begin", .. var words]:
            _ = BeginAsync(Trial.Parse(words), [.. words[4..].Select(SiloAddress.FromParsableString)]);
            break;
        case ["release"]:
            foreach (var held in holds)
                held.Release();
            break;
    }
}

return 0;

async Task BeginAsync(Trial trial, SiloAddress[] silos)
{
    try
    {
        // A grain goes where it is told as soon as this silo knows that one.
        var known = host.Services.GetRequiredService<IClusterManifestProvider>();
        var alive = host.Services.GetRequiredService<ISiloStatusOracle>();
        while (!silos.All(silo => known.Current.Silos.ContainsKey(silo) && alive.GetApproximateSiloStatus(silo) == SiloStatus.Active))
            await Task.Delay(TimeSpan.FromMilliseconds(20));
        await trial.OpenAsync(grains, silos.ElementAtOrDefault(1), silos.ElementAtOrDefault(2));
    }
    catch (Exception e)
    {
        Console.WriteLine($"not begun {trial.Transfer}: {e}");
        return;
    }

    // As a client that wants to know: whatever it is not answered, it asks again.
    while (true)
    {
        try
        {
            if (await trial.RequestAsync(grains, silos.ElementAtOrDefault(0)) is { Status: ReplyStatus.Done, Transfer: not "running" } end)
            {
                Console.WriteLine($"ended {trial.Transfer} {end.Transfer}");
                return;
            }
        }
        catch (Exception e)
        {
            Console.WriteLine($"asks again for {trial.Transfer}: {e.GetType().Name}");
        }

        await Task.Delay(TimeSpan.FromMilliseconds(100));
    }
}
