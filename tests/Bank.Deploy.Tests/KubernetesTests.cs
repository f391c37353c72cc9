using k8s;
using k8s.Models;
using Xunit;

namespace Bank.Deploy.Tests;

/// <summary>What kubectl would apply, each object read strictly into its type: an unknown or misspelt field fails.</summary>
public sealed class Manifests : IAsyncLifetime
{
    private static readonly Dictionary<string, Type> Types = new()
    {
        ["v1/Namespace"] = typeof(V1Namespace),
        ["v1/ServiceAccount"] = typeof(V1ServiceAccount),
        ["v1/ConfigMap"] = typeof(V1ConfigMap),
        ["v1/Service"] = typeof(V1Service),
        ["apps/v1/Deployment"] = typeof(V1Deployment),
        ["batch/v1/Job"] = typeof(V1Job),
        ["policy/v1/PodDisruptionBudget"] = typeof(V1PodDisruptionBudget),
        ["autoscaling/v2/HorizontalPodAutoscaler"] = typeof(V2HorizontalPodAutoscaler),
        ["networking.k8s.io/v1/NetworkPolicy"] = typeof(V1NetworkPolicy),
    };

    public IReadOnlyList<IKubernetesObject<V1ObjectMeta>> Base { get; private set; } = [];

    public IReadOnlyList<IKubernetesObject<V1ObjectMeta>> Production { get; private set; } = [];

    public async ValueTask InitializeAsync()
    {
        Base = await RenderAsync("deploy/kubernetes/base");
        Production = await RenderAsync("deploy/kubernetes/overlays/production");
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    internal static List<IKubernetesObject<V1ObjectMeta>> Read(string yaml) =>
        [.. KubernetesYaml.LoadAllFromString(yaml, Types, strict: true).Cast<IKubernetesObject<V1ObjectMeta>>()];

    private static async Task<List<IKubernetesObject<V1ObjectMeta>>> RenderAsync(string folder) =>
        Read(await Tool.Kubectl.RunAsync("kustomize", folder));
}

public sealed class KubernetesTests(Manifests manifests) : IClassFixture<Manifests>
{
    private const string Component = "app.kubernetes.io/component";

    private static readonly Dictionary<string, int> Ports = new() { ["http"] = 8080, ["silo"] = 11111, ["orleans-gateway"] = 30000 };

    private IReadOnlyList<IKubernetesObject<V1ObjectMeta>> All => manifests.Production;

    private V1Deployment Silo => Named<V1Deployment>("bank-silo");

    private V1Deployment Gateway => Named<V1Deployment>("bank-gateway");

    private V1Job Migration => Named<V1Job>("bank-migrate");

    private IEnumerable<V1PodTemplateSpec> Pods => [Silo.Spec.Template, Gateway.Spec.Template, Migration.Spec.Template];

    [Fact]
    public void A_misspelt_field_is_refused() => Assert.ThrowsAny<Exception>(() => Manifests.Read(
        """
        apiVersion: v1
        kind: Service
        metadata:
          name: bank
        spec:
          selektor: {}
        """));

    [Fact]
    public void The_base_is_complete_and_the_overlay_puts_all_of_it_into_one_namespace()
    {
        Assert.Equal(15, manifests.Base.Count);
        Assert.Equal(16, All.Count);
        Assert.All(All.Where(o => o is not V1Namespace), o => Assert.Equal("bank", o.Metadata.NamespaceProperty));
        Assert.All(Pods.SelectMany(pod => pod.Spec.Containers), c => Assert.Matches(@"^registry\.example\.com/bank-orleans:\d", c.Image));
    }

    [Fact]
    public void Each_process_has_its_role()
    {
        Assert.Equal(["up", "--role", "silo"], Assert.Single(Silo.Spec.Template.Spec.Containers).Args);
        Assert.Equal(["up", "--role", "gateway"], Assert.Single(Gateway.Spec.Template.Spec.Containers).Args);
        Assert.Equal(["migrate"], Assert.Single(Migration.Spec.Template.Spec.Containers).Args);
    }

    [Fact]
    public void Every_pod_may_run_where_Kubernetes_is_strict_and_writes_nothing_but_its_own_memory() => Assert.All(Pods, pod =>
    {
        Assert.True(pod.Spec.SecurityContext is { RunAsNonRoot: true, RunAsUser: Image.User, SeccompProfile.Type: "RuntimeDefault" });
        Assert.False(pod.Spec.AutomountServiceAccountToken);
        Assert.All(pod.Spec.Volumes, volume => Assert.Equal("Memory", volume.EmptyDir.Medium));
        Assert.All(pod.Spec.Containers, container =>
        {
            Assert.True(container.SecurityContext is { ReadOnlyRootFilesystem: true, AllowPrivilegeEscalation: false });
            Assert.Equal(["ALL"], container.SecurityContext.Capabilities.Drop);
        });
    });

    [Fact]
    public void Every_container_is_given_the_memory_that_it_asks_for_and_no_limit_of_processor_time() => Assert.All(
        Pods.SelectMany(pod => pod.Spec.Containers),
        container =>
        {
            Assert.True(container.Resources.Requests.ContainsKey("cpu"));
            Assert.False(container.Resources.Limits.ContainsKey("cpu"));
            Assert.True(container.Resources.Limits["memory"] is not null);
        });

    [Fact]
    public void Silos_and_gateways_are_alive_by_themselves_and_ready_by_what_they_need() => Assert.All([Silo, Gateway], deployment =>
    {
        var container = deployment.Spec.Template.Spec.Containers[0];
        Assert.Equal("/health/live", container.StartupProbe.HttpGet.Path);
        Assert.Equal("/health/live", container.LivenessProbe.HttpGet.Path);
        Assert.Equal("/health/ready", container.ReadinessProbe.HttpGet.Path);
        Assert.All(
            [container.StartupProbe, container.LivenessProbe, container.ReadinessProbe],
            probe => Assert.Equal("http", probe.HttpGet.Port.Value));
        Assert.All(container.Ports, port => Assert.Equal(Ports[port.Name], port.ContainerPort));
        // Five seconds of drain delay: by then nobody may send new requests.
        Assert.True(container.ReadinessProbe.PeriodSeconds * container.ReadinessProbe.FailureThreshold < 5);
        Assert.Equal(75, deployment.Spec.Template.Spec.TerminationGracePeriodSeconds);
    });

    [Fact]
    public void A_roll_out_never_takes_a_process_before_its_successor_is_ready() => Assert.All([Silo, Gateway], deployment =>
    {
        Assert.Equal("0", deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.Value);
        Assert.Equal("1", deployment.Spec.Strategy.RollingUpdate.MaxSurge.Value);
    });

    [Fact]
    public void Of_silos_and_of_gateways_one_at_a_time_may_be_evicted() => Assert.All([Silo, Gateway], deployment =>
    {
        var budget = Named<V1PodDisruptionBudget>(deployment.Metadata.Name);
        Assert.Equal("1", budget.Spec.MaxUnavailable.Value);
        Assert.True(Selects(budget.Spec.Selector, deployment.Spec.Template));
    });

    [Fact]
    public void Selectors_find_their_pods_and_only_those()
    {
        Assert.All([Silo, Gateway], deployment => Assert.Equal(
            [deployment.Spec.Template], Pods.Where(pod => Selects(deployment.Spec.Selector, pod))));
        var service = Named<V1Service>("bank-gateway");
        Assert.Equal("ClusterIP", service.Spec.Type);
        Assert.Equal([Gateway.Spec.Template], Pods.Where(pod => Selects(new() { MatchLabels = service.Spec.Selector }, pod)));
        Assert.Equal("http", Assert.Single(service.Spec.Ports).TargetPort.Value);
    }

    [Fact]
    public void Gateways_scale_by_themselves_and_their_deployment_leaves_the_number_to_that()
    {
        var scaler = Assert.Single(All.OfType<V2HorizontalPodAutoscaler>());
        Assert.Equal(("Deployment", Gateway.Metadata.Name), (scaler.Spec.ScaleTargetRef.Kind, scaler.Spec.ScaleTargetRef.Name));
        Assert.True(scaler.Spec.MinReplicas >= 2);
        Assert.Null(Gateway.Spec.Replicas);
        Assert.True(Silo.Spec.Replicas >= 3);
        Assert.True(Gateway.Spec.Template.Spec.Containers[0].Resources.Requests.ContainsKey("cpu"), "the share of what is asked for");
    }

    [Fact]
    public void Connection_strings_come_from_secrets_that_are_not_here_and_only_the_migration_knows_the_owner_s()
    {
        Assert.DoesNotContain(All, o => o is V1Secret);
        Assert.All(Pods, pod =>
        {
            var variables = pod.Spec.Containers[0].Env
                .Where(variable => variable.Name.StartsWith("ConnectionStrings__", StringComparison.Ordinal)).ToList();
            Assert.All(variables, variable => Assert.True(variable is { Value: null, ValueFrom.SecretKeyRef.Key: "connection-string" }));
            Assert.Equal(pod == Migration.Spec.Template, variables.Any(v => v.ValueFrom.SecretKeyRef.Name == "bank-database-owner"));
        });
        Assert.All(
            All.OfType<V1ConfigMap>().SelectMany(map => map.Data),
            entry => Assert.DoesNotMatch("(?i)password|connection", entry.Key + entry.Value));
    }

    [Fact]
    public void A_changed_setting_rolls_the_pods()
    {
        var name = Assert.Single(All.OfType<V1ConfigMap>()).Metadata.Name;
        Assert.Matches("^bank-[a-z0-9]{10}$", name);
        Assert.All([Silo, Gateway], d => Assert.Equal(name, Assert.Single(d.Spec.Template.Spec.Containers[0].EnvFrom).ConfigMapRef.Name));
    }

    [Fact]
    public void Silos_advertise_the_address_of_their_pod() => Assert.Equal(
        "status.podIP",
        Silo.Spec.Template.Spec.Containers[0].Env
            .Single(variable => variable.Name == "Orleans__Endpoints__AdvertisedIPAddress").ValueFrom.FieldRef.FieldPath);

    [Fact]
    public void Nothing_comes_in_or_goes_out_that_no_policy_names()
    {
        var deny = Named<V1NetworkPolicy>("bank-deny");
        Assert.All(Pods, pod => Assert.True(Selects(deny.Spec.PodSelector, pod)));
        Assert.True(deny.Spec is { Ingress: null, Egress: null, PolicyTypes: ["Ingress", "Egress"] });
        // A rule without peers, or without ports, lets all of them.
        Assert.All(All.OfType<V1NetworkPolicy>().SelectMany(policy => policy.Spec.Ingress ?? []), rule =>
        {
            Assert.NotEmpty(rule.FromProperty);
            Assert.NotEmpty(rule.Ports);
        });
        Assert.All(All.OfType<V1NetworkPolicy>().SelectMany(policy => policy.Spec.Egress ?? []), rule =>
        {
            Assert.NotEmpty(rule.To);
            Assert.NotEmpty(rule.Ports);
        });
    }

    [Fact]
    public void Orleans_ports_are_open_to_the_bank_s_own_pods_only()
    {
        var openings =
            from policy in All.OfType<V1NetworkPolicy>()
            from rule in policy.Spec.Ingress ?? []
            from port in rule.Ports
            from peer in rule.FromProperty
            select (To: policy.Spec.PodSelector.MatchLabels.TryGetValue(Component, out var to) ? to : "all",
                Port: port.Port.Value,
                From: peer.PodSelector?.MatchLabels[Component] ?? peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]);
        Assert.Equal(
            [("all", "8080", "monitoring"), ("gateway", "8080", "ingress"), ("silo", "11111", "silo"), ("silo", "30000", "gateway")],
            openings.Order());
    }

    [Fact]
    public void Prometheus_is_told_where_the_metrics_are() => Assert.All([Silo, Gateway], deployment => Assert.Equal(
        ("true", "8080", "/metrics"),
        (deployment.Spec.Template.Metadata.Annotations["prometheus.io/scrape"],
            deployment.Spec.Template.Metadata.Annotations["prometheus.io/port"],
            deployment.Spec.Template.Metadata.Annotations["prometheus.io/path"])));

    private T Named<T>(string name)
        where T : IKubernetesObject<V1ObjectMeta> => Assert.Single(All.OfType<T>(), o => o.Metadata.Name == name);

    private static bool Selects(V1LabelSelector selector, V1PodTemplateSpec pod) =>
        selector.MatchLabels.All(label => pod.Metadata.Labels.TryGetValue(label.Key, out var value) && value == label.Value);
}
