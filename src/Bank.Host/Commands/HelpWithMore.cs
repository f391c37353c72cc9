using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Bank.Host.Commands;

/// <summary>The parser's help of a command, followed by what it has no place for: examples, environment, exit codes.</summary>
internal sealed class HelpWithMore(IReadOnlyDictionary<Command, string> more) : SynchronousCommandLineAction
{
    private readonly HelpAction help = new();

    public override int Invoke(ParseResult parseResult)
    {
        var written = help.Invoke(parseResult);
        if (more.TryGetValue(parseResult.CommandResult.Command, out var text))
            parseResult.InvocationConfiguration.Output.WriteLine(text);
        return written;
    }
}
