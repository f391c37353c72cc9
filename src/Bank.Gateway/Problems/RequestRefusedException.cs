using Microsoft.AspNetCore.Http;

namespace Bank.Gateway.Problems;

/// <summary>The request is refused before anything was asked of the bank. The framework reports its own findings in the same way.</summary>
#pragma warning disable CA1032 // It is thrown with its problem only.
internal sealed class RequestRefusedException(Problem problem) : BadHttpRequestException(problem.Code, ProblemCode.Of(problem.Code).Status)
#pragma warning restore CA1032
{
    public Problem Problem { get; } = problem;
}
