using Bank.Domain;
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
        api.MapPost("/projections/{name}/rebuild", Rebuild);
        api.MapPost("/projections/{name}/pause", Pause);
        api.MapPost("/projections/{name}/resume", Resume);
        api.MapPost("/projections/{name}/partitions/{n}/retry", Retry);
        api.MapPost("/projections/{name}/partitions/{n}/skip", Skip);
    }

    private static async Task<IResult> List(HttpContext http, ProjectionStatusReader projections)
    {
        new QueryParameters(http).ThrowIfWrong();
        return TypedResults.Json(
            new ProjectionsBody(await projections.ReadAsync(http.RequestAborted)), GatewayJson.Default.ProjectionsBody);
    }

    private static Task<IResult> Rebuild(string name, HttpContext http, IGrainFactory grains, Patience patience, TimeProvider time) =>
        OnAll(name, "rebuild", http, grains, patience, time, (grain, act) => grain.RebuildAsync(act), StatusCodes.Status202Accepted);

    private static Task<IResult> Pause(string name, HttpContext http, IGrainFactory grains, Patience patience, TimeProvider time) =>
        OnAll(name, "pause", http, grains, patience, time, (grain, act) => grain.PauseAsync(act));

    private static Task<IResult> Resume(string name, HttpContext http, IGrainFactory grains, Patience patience, TimeProvider time) =>
        OnAll(name, "resume", http, grains, patience, time, (grain, act) => grain.ResumeAsync(act));

    private static async Task<IResult> OnAll(
        string name,
        string what,
        HttpContext http,
        IGrainFactory grains,
        Patience patience,
        TimeProvider time,
        Func<IProjectionOperatorGrain, OperatorAct, Task<OperatorOutcome>> perform,
        int status = StatusCodes.Status200OK)
    {
        new QueryParameters(http).ThrowIfWrong();
        var headers = CommandHeaders.Read(http, time);
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.ActRequest);
        var act = ActOf(name, headers, body.Reason);
        var grain = grains.GetGrain<IProjectionOperatorGrain>(name);
        return await AnswerAsync(
            name, what, http, patience, () => perform(grain, act), new(ProblemCode.ProjectionNotFound), status);
    }

    private static async Task<IResult> Retry(
        string name, string n, HttpContext http, IGrainFactory grains, Patience patience, ProjectionStatusReader projections,
        TimeProvider time)
    {
        new QueryParameters(http).ThrowIfWrong();
        var headers = CommandHeaders.Read(http, time);
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.ActRequest);
        var act = ActOf(name, headers, body.Reason);
        if (await Find(projections, name, n, http.RequestAborted) is not { } partition)
            return new Problem(ProblemCode.ProjectionNotFound);
        return await AnswerAsync(
            name, "retry", http, patience, () => grains.GetGrain<IProjectionOperatorGrain>(name).RetryAsync(partition, act),
            new(ProblemCode.PartitionNotParked));
    }

    private static async Task<IResult> Skip(
        string name, string n, HttpContext http, IGrainFactory grains, Patience patience, ProjectionStatusReader projections,
        TimeProvider time)
    {
        new QueryParameters(http).ThrowIfWrong();
        var headers = CommandHeaders.Read(http, time);
        var body = await JsonBody.ReadAsync(http, GatewayJson.Default.SkipRequest);
        var errors = new RequestErrors();
        if (body.Position is not > 0)
            errors.Add("position", "must be the position at which the partition is parked");
        errors.ThrowIfAny();
        var act = ActOf(name, headers, body.Reason);
        if (await Find(projections, name, n, http.RequestAborted) is not { } partition)
            return new Problem(ProblemCode.ProjectionNotFound);
        var position = new Position(body.Position!.Value);
        return await AnswerAsync(
            name, "skip", http, patience, () => grains.GetGrain<IProjectionOperatorGrain>(name).SkipAsync(partition, position, act),
            new(ProblemCode.PartitionNotParked));
    }

    private static async Task<IResult> AnswerAsync(
        string name, string what, HttpContext http, Patience patience, Func<Task<OperatorOutcome>> ask, Problem nothing,
        int status = StatusCodes.Status200OK)
    {
        var outcome = await patience.For(_ => ask(), outcome => outcome is OperatorOutcome.Done or OperatorOutcome.Repeated ? true : null);
        if (outcome == OperatorOutcome.NothingToActOn)
            return nothing;
        if (outcome == OperatorOutcome.IdReused)
            return new Problem(ProblemCode.IdempotencyKeyReused);
        Replies.MarkReplay(http, outcome == OperatorOutcome.Repeated);
        return TypedResults.Json(new ActBody(name, what), GatewayJson.Default.ActBody, statusCode: status);
    }

    private static async Task<int?> Find(ProjectionStatusReader projections, string name, string n, CancellationToken cancellation) =>
        (await projections.ReadAsync(cancellation)).FirstOrDefault(projection => projection.Name == name)
            ?.Partitions.FirstOrDefault(partition => partition.N.ToString(System.Globalization.CultureInfo.InvariantCulture) == n)?.N;

    private static OperatorAct ActOf(string name, CommandHeaders headers, string? reason)
    {
        var errors = new RequestErrors();
        if (reason is not null)
            errors.Text("reason", reason);
        errors.ThrowIfAny();
        return new(By, reason, DerivedId.Act(name, headers.Key));
    }
}
