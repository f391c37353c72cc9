namespace Bank.Host.Postgres;

/// <summary>Who runs the server: whoever runs this program, except root, whom PostgreSQL refuses.</summary>
internal sealed class ServerUser
{
    private readonly string? name;
    private readonly string[] prefix;

    private ServerUser(string? name, params string[] prefix)
    {
        this.name = name;
        this.prefix = prefix;
    }

    public static ServerUser Current { get; } = Environment.IsPrivilegedProcess ? Unprivileged() : new(null);

    /// <summary>The user that root drops to; null where nobody is dropped to.</summary>
    public string? DropsTo => name;

    public Task<ChildProcess.Ended> RunAsync(
        string program, IEnumerable<string> arguments, CancellationToken cancellation, string? input = null)
    {
        string[] command = [.. prefix, program, .. arguments];
        return prefix is ["su", ..]
            ? ChildProcess.RunAsync("su", ["-s", "/bin/sh", name!, "-c", Quoted(program, arguments)], cancellation, input)
            : ChildProcess.RunAsync(command[0], command[1..], cancellation, input);
    }

    private static ServerUser Unprivileged()
    {
        var users = File.ReadLines("/etc/passwd").Select(line => line.Split(':')).Where(fields => fields.Length > 3)
            .ToDictionary(fields => fields[0], fields => (Uid: fields[2], Gid: fields[3]), StringComparer.Ordinal);
        var user = users.ContainsKey("postgres") ? "postgres" : "nobody";
        if (!users.TryGetValue(user, out var ids))
            throw new CommandException(
                ExitCode.DataDirectoryUnusable,
                "PostgreSQL must not run as root, and here is neither a user postgres nor a user nobody. Run ./bank as another user.");

        // BusyBox has a setpriv too, which cannot change the user; its su is enough.
        return ChildProcess.OnPath("setpriv") is { } setpriv && File.ResolveLinkTarget(setpriv, true) is null
            ? new(user, setpriv, $"--reuid={ids.Uid}", $"--regid={ids.Gid}", "--clear-groups", "--")
            : new(user, "su");
    }

    private static string Quoted(string program, IEnumerable<string> arguments) =>
        "exec " + string.Join(' ', arguments.Prepend(program).Select(word => $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'"));
}
