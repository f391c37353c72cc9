using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Bank.Testing;
using Xunit;

namespace Bank.Grains.Tests;

/// <summary>What a silo of the product does not do beside its work.</summary>
public sealed class CompositionTests(BankSilo bank) : IClassFixture<BankSilo>
{
    [Fact]
    public async Task Where_nothing_is_exported_no_instrument_of_the_runtime_is_listened_to()
    {
        Assert.NotNull(bank.First);
        var instruments = new ConcurrentBag<Instrument>();
        using var looker = new MeterListener
        {
            InstrumentPublished = (instrument, _) =>
            {
                if (instrument.Meter.Name == "Microsoft.Orleans")
                    instruments.Add(instrument);
            },
        };
        looker.Start();
        Assert.Contains(instruments, instrument => instrument.Name == "orleans-messaging-sent-messages-size");
        // While another silo of this process starts, its dashboard listens for a moment.
        await Eventually.UntilAsync(
            "nobody listens to the runtime's instruments", () => !instruments.Any(instrument => instrument.Enabled));
    }
}
