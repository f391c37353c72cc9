using Bank.Host.Postgres;
using Bank.Testing;
using Xunit;

namespace Bank.Host.Tests.Commands;

/// <summary>A data directory of a test's own, with no process left on it afterwards.</summary>
public class DataDirectory : IAsyncDisposable
{
    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"bank-{Guid.NewGuid():n}");

    public Dictionary<string, string?> Environment => new() { ["BANK_DATA_DIR"] = Path };

    public BankProcess Up() => BankProcess.Start(["up"], Environment);

    public Task<(int ExitCode, string Output)> RunAsync(params string[] arguments) => BankProcess.RunAsync(arguments, Environment);

    /// <summary>The private server's process, as the product sees it.</summary>
    public int? Postgres => LocalPostgres.ProcessOf(Path);

    /// <summary>kill -9 of the private server and its children.</summary>
    public async Task KillPostgresAsync() =>
        await (await LocalPostgres.AtAsync(Path, CancellationToken.None)).KillAsync(CancellationToken.None);

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (Postgres is not null)
            await KillPostgresAsync();
        if (Directory.Exists(Path))
            Directory.Delete(Path, recursive: true);
    }
}

/// <summary>An open bank for tests that only look at it.</summary>
public sealed class OpenBank : DataDirectory, IAsyncLifetime
{
    private BankProcess? bank;

    public BankProcess Bank => bank ?? throw new InvalidOperationException("Not opened.");

    public async ValueTask InitializeAsync()
    {
        try
        {
            bank = Up();
            await bank.OpenAsync();
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    public override async ValueTask DisposeAsync()
    {
        if (bank is not null)
            await bank.DisposeAsync();
        await base.DisposeAsync();
    }
}
