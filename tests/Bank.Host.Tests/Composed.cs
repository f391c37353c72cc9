using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;

namespace Bank.Host.Tests;

/// <summary>The product put together, not started: its database need not be there.</summary>
internal static class Composed
{
    public static WebApplication Host(Role role, Dictionary<string, string?> settings)
    {
        const string nobody = "Host=127.0.0.1;Port=1;Username=bank_app;Password=x;Database=bank";
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddInMemoryCollection(settings);
        if (role == Role.Gateway)
            builder.AddBankClient(nobody);
        else
            builder.AddBankSilo(nobody, siloPort: 11111, gatewayPort: 30000);
        if (role != Role.Silo)
            builder.AddBankGateway();
        builder.AddBankHealth();
        return builder.Build();
    }
}
