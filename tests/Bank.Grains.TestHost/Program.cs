using System.Globalization;
using Bank.Grains.TestHost;
using Bank.Host;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

// A silo of the product's composition in a process of its own, to be killed. It stops a transfer at each of the points that it is told of
// (their numbers in SagaPoint.All), says so, and goes on until it is killed or whoever started it is gone.
if (args is not [var connectionString, var siloPort, var gatewayPort, .. var numbers])
    return 1;

var points = new FaultPoints();
var builder = Host.CreateApplicationBuilder();
builder.Logging.ClearProviders();
builder.AddBankSilo(
    connectionString, int.Parse(siloPort, CultureInfo.InvariantCulture), int.Parse(gatewayPort, CultureInfo.InvariantCulture));
points.Decorate(builder.Services);
using var host = builder.Build();
await host.StartAsync();
Console.WriteLine("open");

var grains = host.Services.GetRequiredService<IGrainFactory>();
await Task.WhenAll(numbers.Select(async text =>
{
    var number = int.Parse(text, CultureInfo.InvariantCulture);
    var (transfer, source, destination) = await SagaPoint.All[number].StopAsync(grains, points);
    Console.WriteLine($"stopped {number} {transfer} {source} {destination}");
}));
Console.WriteLine("all stopped");
await Console.In.ReadToEndAsync();
return 0;
