using Xunit;

namespace Bank.Deploy.Tests;

[Collection(typeof(ImageCollection))]
public sealed class ImageTests(Image image)
{
    [Fact]
    public void The_build_stage_s_steps_make_the_program_from_what_dockerignore_lets_through()
    {
        Assert.True(File.Exists(image.CommandOf(image.Dockerfile.Entrypoint)[1]), image.Log);
        Assert.Equal(image.CommandOf(image.Dockerfile.Entrypoint)[1], image.CommandOf(image.Dockerfile.HealthCheck)[1]);
    }

    [Theory]
    [InlineData("src/Bank.Host/Program.cs", true)]
    [InlineData("sql/journal/0001_tables.sql", true)]
    [InlineData("global.json", true)]
    [InlineData("src/Bank.Host/bin/Release/net10.0/Bank.Host.dll", false)]
    [InlineData("src/Bank.Host/obj/project.assets.json", false)]
    [InlineData(".git/config", false)]
    [InlineData(".data/postgres.json", false)]
    [InlineData(".env", false)]
    [InlineData("docker-compose.yml", false)]
    [InlineData("tests/Bank.Deploy.Tests/ImageTests.cs", false)]
    public void Dockerignore_lets_through_what_the_program_is_built_from_and_nothing_else(string path, bool through) =>
        Assert.Equal(through, new DockerIgnore(Repository.Read(".dockerignore")).LetsThrough(path));

    [Fact]
    public void The_image_runs_one_program_as_a_user_without_rights_and_needs_no_shell()
    {
        var final = image.Dockerfile.Final;
        Assert.Equal("$APP_UID", Assert.Single(final, i => i.Name == "USER").Arguments);
        Assert.Contains("chiseled", final[0].Arguments, StringComparison.Ordinal);
        Assert.DoesNotContain(final, i => i.Name is "RUN" or "ADD" or "VOLUME");
        Assert.StartsWith("--from=build ", Assert.Single(final, i => i.Name == "COPY").Arguments, StringComparison.Ordinal);
        Assert.Equal("dotnet", image.Dockerfile.Entrypoint[0]);
        Assert.Equal("dotnet", image.Dockerfile.HealthCheck[0]);
        // Whatever waits for the database would take longer than the check may.
        Assert.Equal(["status", "--live"], image.Dockerfile.HealthCheck[2..]);
    }
}
