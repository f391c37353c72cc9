using Bank.Gateway.Problems;
using Bank.Gateway.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway;

internal sealed record ActRequest(string? Reason = null);

internal sealed record SkipRequest(long? Position = null, string? Reason = null);

internal sealed record ProjectionsBody(IReadOnlyList<ProjectionStatus> Items);

internal sealed record ActBody(string Name, string Act);

/// <summary>How the read models stand, and what operators do to them: each act is an event of <c>projection-{name}</c>.</summary>
internal static class Projections
{
    // Who acts, until callers sign in: whoever reaches this gateway.
    private const string By = "gateway";

    public static void MapProjections(this RouteGroupBuilder api)
    {
        api.MapGet("/projections", List);
        api.MapPost("/projections/{name}/rebuild", (string name, HttpContext http, IGrainFactory grains, Patience patience) =>
            Act(name, "rebuild", http, grains, patience, (grain, act) => grain.RebuildAsync(act), StatusCodes.Status202Accepted));
        api.MapPost("/projections/{name}/pause", (string name, HttpContext http, IGrainFactory grains, Patience patience) =>
            Act(name, "pause", http, grains, patience, (grain, act) => grain.PauseAsync(act)));
        api.MapPost("/projections/{name}/resume", (string name, HttpContext http, IGrainFactory grains, Patience patience) =>
            Act(name, "resume", http, grains, patience, (grain, act) => grain.ResumeAsync(act)));
        api.MapPost("/projections/{name}/partitions/{n}/retry", Retry);
        api.MapPost("/projections/{name}/partitions/{n}/skip", Skip);
    }

    private static async Task<IResult> List(HttpContext http, ProjectionStatusReader projections)
    {
        new QueryParameters(http).ThrowIfWrong();
        return TypedResults.Json(
            new ProjectionsBody(await projections.ReadAsync(http.RequestAborted)), GatewayJson.Default.ProjectionsBody);
    }

    private static async Task<IResult> Act(
        string name,
        string act,
        HttpContext http,
        IGrainFactory grains,
        Patience patience,
        Func<IProjectionOperatorGrain, OperatorAct, Task<bool>> perform,
        int status = StatusCodes.Status200OK)
    {
        new QueryParameters(http).ThrowIfWrong();
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.ActRequest);
        var recorded = Recorded(body.Reason);
        var grain = grains.GetGrain<IProjectionOperatorGrain>(name);
        return await patience.For(() => perform(grain, recorded))
            ? TypedResults.Json(new ActBody(name, act), GatewayJson.Default.ActBody, statusCode: status)
            : new Problem(ProblemCode.ProjectionNotFound);
    }

    private static async Task<IResult> Retry(
        string name, string n, HttpContext http, IGrainFactory grains, Patience patience, ProjectionStatusReader projections)
    {
        new QueryParameters(http).ThrowIfWrong();
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.ActRequest);
        var act = Recorded(body.Reason);
        if (await Find(projections, name, n, http.RequestAborted) is not { } partition)
            return new Problem(ProblemCode.ProjectionNotFound);
        return await patience.For(() => grains.GetGrain<IProjectionOperatorGrain>(name).RetryAsync(partition, act))
            ? TypedResults.Json(new ActBody(name, "retry"), GatewayJson.Default.ActBody)
            : new Problem(ProblemCode.PartitionNotParked);
    }

    private static async Task<IResult> Skip(
        string name, string n, HttpContext http, IGrainFactory grains, Patience patience, ProjectionStatusReader projections)
    {
        new QueryParameters(http).ThrowIfWrong();
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.SkipRequest);
        var errors = new RequestErrors();
        if (body.Position is not > 0)
            errors.Add("position", "must be the position at which the partition is parked");
        errors.ThrowIfAny();
        var act = Recorded(body.Reason);
        if (await Find(projections, name, n, http.RequestAborted) is not { } partition)
            return new Problem(ProblemCode.ProjectionNotFound);
        var position = new Position(body.Position!.Value);
        return await patience.For(() => grains.GetGrain<IProjectionOperatorGrain>(name).SkipAsync(partition, position, act))
            ? TypedResults.Json(new ActBody(name, "skip"), GatewayJson.Default.ActBody)
            : new Problem(ProblemCode.PartitionNotParked);
    }

    private static async Task<int?> Find(ProjectionStatusReader projections, string name, string n, CancellationToken cancellation) =>
        (await projections.ReadAsync(cancellation)).FirstOrDefault(projection => projection.Name == name)
            ?.Partitions.FirstOrDefault(partition => partition.N.ToString(System.Globalization.CultureInfo.InvariantCulture) == n)?.N;

    private static OperatorAct Recorded(string? reason)
    {
        var errors = new RequestErrors();
        if (reason is not null)
            errors.Text("reason", reason);
        errors.ThrowIfAny();
        return new(By, reason);
    }
}
