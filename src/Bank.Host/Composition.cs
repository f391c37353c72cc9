using System.Net;
using Npgsql;
using Orleans.Configuration;

namespace Bank.Host;

/// <summary>How the product is put together; tests build the same and add their decorators.</summary>
public static class Composition
{
    /// <summary>Adds a silo with everything that it hosts.</summary>
    /// <param name="builder">The host.</param>
    /// <param name="connectionString">The database, as <c>bank_app</c>.</param>
    /// <param name="siloPort">Between silos; <c>Orleans__Endpoints__SiloPort</c> wins.</param>
    /// <param name="gatewayPort">For Orleans clients; <c>Orleans__Endpoints__GatewayPort</c> wins.</param>
    /// <remarks>
    /// Settings come from the section <c>Orleans</c>: <c>ClusterId</c>, <c>ServiceId</c>, <c>Endpoints</c>, <c>Messaging</c>, and for the
    /// detection of dead silos <c>Membership</c>, with the names of Orleans' <see cref="ClusterMembershipOptions"/>.
    /// </remarks>
    public static IHostApplicationBuilder AddBankSilo(
        this IHostApplicationBuilder builder, string connectionString, int siloPort, int gatewayPort)
    {
        builder.Services.AddSingleton(TimeProvider.System);
        builder.UseOrleans(silo =>
        {
            var settings = builder.Configuration.GetSection("Orleans");
            silo.Configure<ClusterOptions>(options =>
            {
                options.ClusterId = settings["ClusterId"] ?? "bank";
                options.ServiceId = settings["ServiceId"] ?? "bank";
            });
            silo.Configure<EndpointOptions>(options =>
            {
                options.SiloPort = settings.GetValue("Endpoints:SiloPort", siloPort);
                options.GatewayPort = settings.GetValue("Endpoints:GatewayPort", gatewayPort);
                options.AdvertisedIPAddress = IPAddress.Parse(settings["Endpoints:AdvertisedIPAddress"] ?? "127.0.0.1");
            });
            silo.Configure<ClusterMembershipOptions>(settings.GetSection("Membership"));
            silo.UseAdoNetClustering(options =>
            {
                options.Invariant = "Npgsql";
                options.ConnectionString = InSchema(connectionString, "orleans");
            });
        });
        return builder;
    }

    /// <summary>Adds the REST API.</summary>
    public static IHostApplicationBuilder AddBankGateway(this IHostApplicationBuilder builder) => builder;

    /// <summary>Maps the routes of the REST API and of health.</summary>
    public static WebApplication MapBank(this WebApplication app)
    {
        app.MapGet("/health/live", () => TypedResults.Ok(new { status = "live" }));
        return app;
    }

    // Orleans' providers name their tables without a schema.
    private static string InSchema(string connectionString, string schema) =>
        new NpgsqlConnectionStringBuilder(connectionString) { SearchPath = schema }.ConnectionString;
}
