using System.Text;
using Bank.Gateway.Live;
using Bank.Gateway.Problems;
using Bank.Gateway.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Bank.Gateway;

/// <summary>
/// The REST API: commands go to grains, queries to the journal and to the read models. It needs <c>IGrainFactory</c>,
/// <c>IJournalReader</c>, a <c>JournalTailer</c>, the queries of <c>Bank.ReadModel</c> and a <c>TimeProvider</c>.
/// </summary>
public static class BankGateway
{
    /// <summary>Adds what the routes need, and the server's limits.</summary>
    public static IServiceCollection AddBankGateway(this IServiceCollection services, BankGatewayOptions? options = null)
    {
        services.AddSingleton(options ?? new());
        services.AddSingleton<Standstill>();
        services.AddHealthChecks().AddCheck<Standstill>("standstill");
        services.AddSingleton<Admission>();
        services.TryAddSingleton<SiloLosses>();
        services.AddSingleton<Patience>();
        services.AddSingleton<Acknowledged>();
        services.AddSingleton<LiveMessages>();
        services.AddSingleton<LiveMetrics>();
        services.AddSingleton<LiveFeeds>();
        services.Configure<KestrelServerOptions>(server =>
        {
            server.AddServerHeader = false;
            server.Limits.MaxRequestBodySize = JsonBody.MaxBytes;
            // Bytes as they are: what is wrong with a header is said by us, with a code.
            server.RequestHeaderEncodingSelector = _ => Encoding.Latin1;
        });
        return services;
    }

    /// <summary>Maps every route.</summary>
    public static void MapBankGateway(this WebApplication app)
    {
        app.UseStatusCodePages(context => Failures.DescribeAsync(context.HttpContext));
        app.UseMiddleware<Failures>();
        app.Use(OriginCheck.InvokeAsync);
        app.Use(app.Services.GetRequiredService<Admission>().InvokeAsync);
        app.UseWebSockets();
        app.UseRouting();

        var api = app.MapGroup("/api/v1");
        api.MapAccounts();
        api.MapEvents();
        api.MapTransfers();
        api.MapTransactions();
        api.MapTotals();
        api.MapProjections();
        LiveFeeds.MapLive(api);
        app.MapLivePage();
    }
}
