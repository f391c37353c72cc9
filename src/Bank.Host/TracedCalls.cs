using System.Diagnostics;
using Orleans.Runtime;

namespace Bank.Host;

/// <summary>Spans of grain calls, on either side, for calls that belong to something traced.</summary>
/// <remarks>
/// Orleans' own filters (<c>AddActivityPropagation</c>) tell the called grain nothing of a caller that is not sampled, and so begin a trace
/// there, which is sampled by itself: one in a hundred of such calls left a trace without its request, and all others paid for a span.
/// </remarks>
internal sealed class TracedCalls : IOutgoingGrainCallFilter, IIncomingGrainCallFilter
{
    /// <summary>Name of the source of the spans.</summary>
    public const string SourceName = "Bank.Calls";

    private const string Parent = "traceparent";

    private static readonly ActivitySource Source = new(SourceName);

    public Task Invoke(IOutgoingGrainCallContext context) =>
        Activity.Current is { Recorded: true } caller ? TraceAsync(context, ActivityKind.Client, caller.Context) : context.Invoke();

    public Task Invoke(IIncomingGrainCallContext context) =>
        RequestContext.Get(Parent) is string parent && ActivityContext.TryParse(parent, null, isRemote: true, out var caller)
            ? TraceAsync(context, ActivityKind.Server, caller)
            : context.Invoke();

    // What it sets in the context of the request is gone again with its end.
    private static async Task TraceAsync(IGrainCallContext call, ActivityKind kind, ActivityContext caller)
    {
        using var span = Source.StartActivity(call.Request.GetActivityName(), kind, caller);
        if (kind == ActivityKind.Client && span is not null)
            RequestContext.Set(Parent, span.Id!);
        span?.SetTag("rpc.system", "orleans").SetTag("rpc.service", call.InterfaceName).SetTag("rpc.method", call.MethodName);
        try
        {
            await call.Invoke();
        }
        catch (Exception e)
        {
            span?.SetStatus(ActivityStatusCode.Error).AddException(e);
            throw;
        }
    }
}
