using System.Net.Http.Json;
using System.Net.Sockets;

namespace Bank.Host.Cluster;

/// <summary>
/// What <c>./bank cluster status</c> and its siblings ask of the cluster that runs on their data directory: HTTP on a socket in that
/// directory, which only its user can reach.
/// </summary>
internal static class ClusterControl
{
    private sealed record Refusal(int ExitCode, string Message);

    /// <summary>Where the cluster of a data directory listens.</summary>
    public static string SocketOf(string directory) => Path.Combine(directory, "cluster.sock");

    public static void Map(WebApplication app, Supervisor supervisor, Action stop)
    {
        app.MapGet("/members", () => Results.Json(supervisor.Report(), HostSettings.Json));
        app.MapPost("/members/{role}", (string role) => Do(() => supervisor.Add(RoleOf(role))));
        app.MapPost("/members/{role}/{index:int}/{act}", (string role, int index, string act) => Do(() =>
        {
            var member = supervisor.Find(RoleOf(role), index);
            Action acting = act switch
            {
                "kill" => member.Kill,
                "freeze" => member.Freeze,
                "thaw" => member.Thaw,
                _ => member.Start,
            };
            acting();
            return member.Report;
        }));
        app.MapPost("/restart", (CancellationToken gone) => DoAsync(async () =>
        {
            var lines = new List<string>();
            await supervisor.RestartAsync(new Lines(lines), gone);
            return (object)lines;
        }));
        app.MapPost("/stop", () =>
        {
            stop();
            return Results.Accepted();
        });
    }

    /// <summary>Asks the cluster of a data directory.</summary>
    /// <exception cref="CommandException">No cluster runs there, or it refuses.</exception>
    public static async Task<T> AskAsync<T>(string directory, HttpMethod method, string path, CancellationToken cancellation)
    {
        using var client = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, token) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketOf(directory)), token);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        }) { BaseAddress = new("http://cluster"), Timeout = Timeout.InfiniteTimeSpan };
        try
        {
            using var request = new HttpRequestMessage(method, path);
            using var answer = await client.SendAsync(request, cancellation);
            if (answer.IsSuccessStatusCode)
                return (answer.Content.Headers.ContentLength is 0
                    ? default : await answer.Content.ReadFromJsonAsync<T>(HostSettings.Json, cancellation))!;
            var refusal = await answer.Content.ReadFromJsonAsync<Refusal>(HostSettings.Json, cancellation);
            throw new CommandException((ExitCode)refusal!.ExitCode, refusal.Message);
        }
        catch (HttpRequestException e)
        {
            throw new CommandException(
                ExitCode.NotRunning, $"No cluster runs on {directory}. Start one with ./bank cluster, or set BANK_DATA_DIR.", e);
        }
    }

    /// <summary>The role that a command line names.</summary>
    public static Role RoleOf(string name) => name switch
    {
        "silo" => Role.Silo,
        "gateway" => Role.Gateway,
        _ => throw new CommandException(ExitCode.Failed, $"A member is a silo or a gateway, not \"{name}\"."),
    };

    private static IResult Do(Func<MemberReport> act)
    {
        try
        {
            return Results.Json(act(), HostSettings.Json);
        }
        catch (CommandException e)
        {
            return Refused(e);
        }
    }

    private static async Task<IResult> DoAsync(Func<Task<object>> act)
    {
        try
        {
            return Results.Json(await act(), HostSettings.Json);
        }
        catch (CommandException e)
        {
            return Refused(e);
        }
    }

    private static IResult Refused(CommandException e) =>
        Results.Json(new Refusal((int)e.ExitCode, e.Message), HostSettings.Json, statusCode: StatusCodes.Status409Conflict);

    private sealed class Lines(List<string> lines) : IProgress<string>
    {
        public void Report(string value) => lines.Add(value);
    }
}
