using Bank.Gateway;
using Bank.Grains;
using Bank.Host.Commands;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Metrics;
using Orleans.EventSourcing.Postgres;
using Orleans.Runtime;
using Xunit;

namespace Bank.Host.Tests;

public sealed class SettingsTests
{
    [Theory]
    [InlineData("CommandsInFlight", "Gateway:CommandsInFlight", "0", Role.Gateway)]
    [InlineData("AnswerWithin", "Gateway:AnswerWithin", "25", Role.All)]
    [InlineData("TransferWatchInterval", "Bank:TransferWatchInterval", "00:00:00", Role.Silo)]
    [InlineData("RecentCommands", "Bank:RecentCommands", "0", Role.Gateway)]
    [InlineData("Writers", "Projections:Writers", "0", Role.Silo)]
    [InlineData("Partitions", "Streams:Partitions", "3", Role.Gateway)]
    [InlineData("Partitions", "Streams:Partitions", "3", Role.Silo)]
    [InlineData("AdvertisedIPAddress", "Orleans:Endpoints:AdvertisedIPAddress", "no-such-host.invalid", Role.Silo)]
    public async Task A_setting_that_makes_no_sense_is_refused_before_anything_starts(string named, string name, string value, Role role)
    {
        var refused = await Assert.ThrowsAsync<OrleansConfigurationException>(async () =>
        {
            await using var app = Composed.Host(role, new() { [name] = value });
            Up.RefuseWrongSettings(app.Services);
        });
        Assert.Contains(named, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("prometheus", true)]
    [InlineData("otlp, prometheus", true)]
    [InlineData("otlp", false)]
    [InlineData("none", false)]
    public async Task Metrics_are_at_an_address_unless_they_are_to_go_elsewhere(string? exporters, bool scraped)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Configuration["OTEL_METRICS_EXPORTER"] = exporters;
        builder.AddBankTelemetry(Role.Gateway);
        await using var app = builder.Build();
        Assert.Equal(scraped, Telemetry.IsScraped(app.Configuration));
        Assert.NotNull(app.Services.GetService<MeterProvider>());
    }

    [Fact]
    public void An_exporter_that_there_is_not_is_refused()
    {
        var builder = WebApplication.CreateBuilder();
        builder.Configuration["OTEL_METRICS_EXPORTER"] = "otlp,console";
        var refused = Assert.Throws<OrleansConfigurationException>(() => builder.AddBankTelemetry(Role.Silo));
        Assert.Contains("OTEL_METRICS_EXPORTER", refused.Message, StringComparison.Ordinal);
        Assert.Contains("console", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Role.All)]
    [InlineData(Role.Silo)]
    [InlineData(Role.Gateway)]
    public async Task Defaults_make_sense(Role role)
    {
        await using var app = Composed.Host(role, new());
        Up.RefuseWrongSettings(app.Services);
    }

    [Fact]
    public void Every_bound_of_a_gateway_is_checked()
    {
        var wrong = new BankGatewayOptions
        {
            AnswerWithin = TimeSpan.Zero,
            CommandsInFlight = 0,
            LiveBeat = TimeSpan.FromDays(15),
            LiveWaiting = -1,
            LiveFarewell = TimeSpan.FromSeconds(-1),
            PositionWithin = TimeSpan.FromDays(2),
        };
        AssertNamesAll<BankGatewayOptions>(wrong.FindProblems());
        Assert.Empty(new BankGatewayOptions { LiveFarewell = TimeSpan.Zero, PositionWithin = TimeSpan.Zero }.FindProblems());
    }

    [Fact]
    public void Every_bound_of_the_bank_is_checked()
    {
        var wrong = new BankOptions
        {
            RecentCommands = 0,
            TransferAnswerAfter = TimeSpan.FromSeconds(-1),
            TransferOverdueAfter = TimeSpan.Zero,
            TransferWatchInterval = TimeSpan.FromTicks(1),
        };
        AssertNamesAll<BankOptions>(wrong.FindProblems());
        Assert.Empty(new BankOptions { TransferAnswerAfter = TimeSpan.Zero }.FindProblems());
    }

    [Fact]
    public void Every_bound_of_projections_is_checked()
    {
        var wrong = new ProjectionOptions
        {
            BatchEvents = 0,
            QueueEvents = 0,
            PageEvents = 0,
            SharedPages = 0,
            GatherFor = TimeSpan.FromSeconds(-1),
            FlushAfter = TimeSpan.Zero,
            Writers = 0,
            RebuildWriters = 0,
            MaxBackoff = TimeSpan.Zero,
            CommandTimeout = TimeSpan.Zero,
        };
        // The partitions are those of the streams, which are checked there.
        AssertNamesAll<ProjectionOptions>(
            wrong.FindProblems(), nameof(ProjectionOptions.Projections), nameof(ProjectionOptions.Partitions));
        Assert.Empty(new ProjectionOptions { GatherFor = TimeSpan.Zero }.FindProblems());
    }

    private static void AssertNamesAll<T>(IReadOnlyList<string> problems, params IEnumerable<string> except) => Assert.Equal(
        typeof(T).GetProperties().Select(p => p.Name).Except(except).Order(),
        problems.Select(problem => problem.Split(' ')[0]).Select(named => named[(typeof(T).Name.Length + 1)..]).Order());
}
