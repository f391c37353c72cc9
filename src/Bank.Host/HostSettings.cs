using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Bank.Host;

/// <summary>What the environment says about the bank that a command is for.</summary>
/// <param name="DataDirectory"><c>BANK_DATA_DIR</c>, default <c>.data</c>: full path.</param>
/// <param name="Urls"><c>ASPNETCORE_URLS</c>, default loopback port 8080.</param>
/// <param name="ExternalApp"><c>ConnectionStrings__Bank</c>: with it no PostgreSQL is started.</param>
/// <param name="ExternalOwner"><c>ConnectionStrings__BankOwner</c>, default the same.</param>
/// <param name="AcceptLosingMoney"><c>BANK_ACCEPT_LOSING_MONEY</c>: run on a server whose durability settings are off.</param>
public sealed record HostSettings(string DataDirectory, string Urls, string? ExternalApp, string? ExternalOwner, bool AcceptLosingMoney)
{
    public const string DefaultUrls = "http://127.0.0.1:8080";

    /// <summary>How documents and <c>--json</c> are written.</summary>
    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
    };

    /// <exception cref="CommandException">A variable has a value that means nothing.</exception>
    public static HostSettings FromEnvironment()
    {
        var app = Variable("ConnectionStrings__Bank");
        return new(
            Path.GetFullPath(Variable("BANK_DATA_DIR") ?? ".data"),
            Checked(Variable("ASPNETCORE_URLS") ?? DefaultUrls),
            app,
            Variable("ConnectionStrings__BankOwner") ?? app,
            Variable("BANK_ACCEPT_LOSING_MONEY") is "1" or "true" or "yes");
    }

    /// <summary>The first address, as a client on this machine writes it.</summary>
    public string Address
    {
        get
        {
            var first = BindingAddress.Parse(Urls.Split(';', 2)[0]);
            var host = first.Host is "*" or "+" or "0.0.0.0" or "[::]" ? "127.0.0.1" : first.Host;
            return $"{first.Scheme}://{host}:{first.Port}";
        }
    }

    private static string Checked(string urls)
    {
        try
        {
            var all = urls.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(BindingAddress.Parse).ToList();
            if (all.Count > 0 && all.TrueForAll(url => url.Scheme is "http" or "https" && url.Port is >= 0 and <= 65535))
                return urls;
        }
        catch (FormatException)
        {
            // Said below.
        }

        throw new CommandException(
            ExitCode.Failed, $"ASPNETCORE_URLS is \"{urls}\", which is no address. Set it to one such as {DefaultUrls}.");
    }

    private static string? Variable(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
