namespace Bank.Host.Postgres;

/// <summary>A folder with PostgreSQL's server programs, and their major version.</summary>
public sealed record PostgresPrograms(string Directory, int MajorVersion)
{
    private static readonly string[] Needed = ["initdb", "pg_ctl", "postgres"];

    /// <summary>The full path of one of the programs.</summary>
    public string this[string program] => Path.Combine(Directory, program);

    /// <summary>Every set of programs on this machine: those on PATH first, then the usual folders, newest first.</summary>
    public static async Task<IReadOnlyList<PostgresPrograms>> FindAsync(CancellationToken cancellation)
    {
        var found = new List<PostgresPrograms>();
        foreach (var directory in OnPath().Concat(UsualFolders()).Distinct(StringComparer.Ordinal))
        {
            if (!Array.TrueForAll(Needed, program => File.Exists(Path.Combine(directory, program))))
                continue;

            var version = await ChildProcess.RunAsync(Path.Combine(directory, "postgres"), ["--version"], cancellation);
            if (version.Succeeded && MajorOf(version.Output) is { } major)
                found.Add(new(directory, major));
        }

        return found;
    }

    // "postgres (PostgreSQL) 15.12 (Debian 15.12-0+deb12u2)", "postgres (PostgreSQL) 18beta1"
    private static int? MajorOf(string version)
    {
        var number = version.Split("(PostgreSQL)").Last().TrimStart().TakeWhile(char.IsAsciiDigit);
        return int.TryParse(string.Concat(number), out var major) ? major : null;
    }

    private static IEnumerable<string> OnPath() =>
        ChildProcess.OnPath("pg_ctl") is { } program
            // A link in /usr/local/bin stands for the folder that it points into, where the other programs are.
            ? [Path.GetDirectoryName(File.ResolveLinkTarget(program, returnFinalTarget: true)?.FullName ?? program)!]
            : [];

    private static IEnumerable<string> UsualFolders()
    {
        (string Parent, string Pattern, string Below)[] usual =
        [
            ("/usr/lib/postgresql", "*", "bin"),
            ("/usr", "pgsql-*", "bin"),
            ("/opt/homebrew/opt", "postgresql*", "bin"),
            ("/usr/local/opt", "postgresql*", "bin"),
            ("/usr/libexec", "postgresql*", ""),
        ];
        return
            from folder in usual
            where System.IO.Directory.Exists(folder.Parent)
            from version in System.IO.Directory.GetDirectories(folder.Parent, folder.Pattern).OrderByDescending(VersionIn)
            select Path.Combine(version, folder.Below);
    }

    private static int VersionIn(string folder) =>
        int.TryParse(string.Concat(Path.GetFileName(folder).Where(char.IsAsciiDigit)), out var version) ? version : 0;
}
