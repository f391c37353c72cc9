using Bank.Testing;
using Xunit;

[assembly: AssemblyFixture(typeof(PrivatePostgres))]

namespace Bank.Gateway.Tests;

/// <summary>The bank of the tests that only use it. Classes of the collection run one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class OneBank : ICollectionFixture<OneBank.Fixture>
{
    public const string Name = "one bank";

    public sealed class Fixture(PrivatePostgres postgres) : IAsyncLifetime
    {
        public TestBank Bank { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Bank = await TestBank.StartAsync(
            await postgres.CreateDatabaseAsync(),
            [
                // Commands soon leave the window, so that the journal itself must know them.
                new("Bank:RecentCommands", "4"),
                // However slow the machine: these tests are about how transfers end.
                new("Bank:TransferAnswerAfter", "00:00:20"),
                new("Gateway:PositionWithin", "00:00:00.2"),
            ]);

        public ValueTask DisposeAsync() => Bank is null ? ValueTask.CompletedTask : Bank.DisposeAsync();
    }
}
