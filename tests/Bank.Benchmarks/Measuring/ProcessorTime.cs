using System.Globalization;

namespace Bank.Benchmarks.Measuring;

/// <summary>Processor time that processes have used, by the kernel's books, which are kept in hundredths of a second.</summary>
internal static class ProcessorTime
{
    /// <summary>Of a process.</summary>
    public static TimeSpan Of(int process) => Sum(Fields(Name(process))[11..13]);

    /// <summary>Of a process, its living children and those that have ended.</summary>
    public static TimeSpan OfFamily(int parent)
    {
        var total = TimeSpan.Zero;
        foreach (var entry in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(entry), CultureInfo.InvariantCulture, out var pid))
                continue;
            try
            {
                var fields = Fields(Name(pid));
                if (pid == parent)
                    total += Sum(fields[11..15]);
                else if (int.Parse(fields[1], CultureInfo.InvariantCulture) == parent)
                    total += Sum(fields[11..13]);
            }
            catch (IOException)
            {
                // Ended while we looked: its time is among that of the children that have ended.
            }
        }

        return total;
    }

    /// <summary>Of this process's children that have ended: they cannot be asked any more.</summary>
    public static TimeSpan OfEndedChildren() => Sum(Fields("self")[13..15]);

    private static string Name(int process) => process.ToString(CultureInfo.InvariantCulture);

    // "pid (name) state ppid ... utime stime cutime cstime", and the name may hold anything.
    private static string[] Fields(string process)
    {
        var stat = File.ReadAllText($"/proc/{process}/stat");
        return stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
    }

    private static TimeSpan Sum(string[] fields) =>
        TimeSpan.FromMilliseconds(10 * fields.Sum(field => long.Parse(field, CultureInfo.InvariantCulture)));
}
