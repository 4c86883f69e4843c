package charts

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	kube "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	"github.com/gridos/sharedinfra/infra/cluster"
	infra "github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/scheduling"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// chartFacts are the facts about a chart in testdata/workloads.yaml.
type chartFacts struct {
	Chart, Version, Subchart, Repository, Licence string
	// Release is the name under which gridos-bootstrap releases the chart; empty for a chart that
	// Argo CD renders.
	Release   string
	Workloads []workloadFacts
	Budgets   []budgetFacts
}

type workloadFacts struct {
	Kind, Name                string
	Labels                    map[string]string
	Replicas                  int32
	Strategy                  map[string]any
	Affinity                  *corev1.Affinity
	TopologySpreadConstraints []corev1.TopologySpreadConstraint
	Requests                  map[string]corev1.ResourceList
	// DecidedBy names the values that decide about fields.
	DecidedBy struct {
		Replicas, MaxReplicas, Strategy, HardAntiAffinity string
		Requests                                          map[string]string
	}
}

type budgetFacts struct {
	Name string
	policyv1.PodDisruptionBudgetSpec
}

func facts(t *testing.T) []chartFacts {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "workloads.yaml"))
	require.NoError(t, err)
	var list []chartFacts
	require.NoError(t, yaml.UnmarshalStrict(text, &list))
	for _, chart := range list {
		assert.NotEmpty(t, chart.Version)
		assert.NotEmpty(t, chart.Repository)
		assert.NotEmpty(t, chart.Licence)
	}
	return list
}

// given returns the values that gridos-bootstrap gives its releases in an environment, by release,
// with the pinned chart.
func given(t *testing.T, environment string) map[string]map[string]any {
	t.Helper()
	recorded, err := mocks.Run{
		Project: stacks.Bootstrap, Root: root, Stack: environment,
		Stacks: map[string]map[string]any{stacks.Infra.Name: mocks.InfraOutputs()},
	}.Do(bootstrap.Program)
	require.NoError(t, err)
	found := map[string]map[string]any{}
	for _, release := range recorded.OfType(helm.ReleaseToken) {
		inputs, _ := plain(resource.NewObjectProperty(release.Inputs)).(map[string]any)
		name, _ := inputs["name"].(string)
		found[name] = inputs
	}
	return found
}

// plain returns a value without the marks of secret and unknown parts.
func plain(v resource.PropertyValue) any {
	return v.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		switch {
		case v.IsSecret():
			return plain(v.SecretValue().Element), true
		case v.IsOutput():
			return plain(v.OutputValue().Element), true
		case v.IsComputed():
			return "", true
		default:
			return nil, false
		}
	})
}

// valueAt returns the value at a path such as redis-ha.haproxy.replicas.
func valueAt(t *testing.T, values map[string]any, path string) any {
	t.Helper()
	value, found, err := unstructured.NestedFieldNoCopy(values, strings.Split(path, ".")...)
	require.NoError(t, err, path)
	require.True(t, found, "the values have no %s", path)
	return value
}

func number(t *testing.T, values map[string]any, path string) int32 {
	t.Helper()
	value, ok := valueAt(t, values, path).(float64)
	require.True(t, ok, path)
	return int32(value)
}

// with returns the facts as the chart renders them with values.
func (w workloadFacts) with(t *testing.T, values map[string]any) workloadFacts {
	t.Helper()
	by := w.DecidedBy
	if by.Replicas != "" {
		w.Replicas = number(t, values, by.Replicas)
	}
	if by.Strategy != "" {
		strategy, ok := valueAt(t, values, by.Strategy).(map[string]any)
		require.True(t, ok, by.Strategy)
		w.Strategy = strategy
	}
	if by.HardAntiAffinity != "" && valueAt(t, values, by.HardAntiAffinity) == false {
		w.Affinity = nil
	}
	requests := map[string]corev1.ResourceList{}
	for container, fact := range w.Requests {
		requests[container] = fact
		if path := by.Requests[container]; path != "" {
			requests[container] = corev1.ResourceList{}
			for name, quantity := range valueAt(t, values, path).(map[string]any) {
				parsed, err := kube.ParseQuantity(fmt.Sprint(quantity))
				require.NoError(t, err, path)
				requests[container][corev1.ResourceName(name)] = parsed
			}
		}
	}
	w.Requests = requests
	return w
}

// workload returns the workload that the model schedules.
func (w workloadFacts) workload(t *testing.T) scheduling.Workload {
	t.Helper()
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: w.Labels}, Spec: corev1.PodSpec{
		Affinity: w.Affinity, TopologySpreadConstraints: w.TopologySpreadConstraints,
	}}
	for name, requests := range w.Requests {
		template.Spec.Containers = append(template.Spec.Containers, corev1.Container{
			Name: name, Resources: corev1.ResourceRequirements{Requests: requests},
		})
	}
	object := map[string]any{"metadata": map[string]any{"name": w.Name}, "spec": map[string]any{"replicas": int64(w.Replicas)}}
	if w.Strategy != nil {
		field := map[string]string{"Deployment": "strategy", "StatefulSet": "updateStrategy"}[w.Kind]
		object["spec"].(map[string]any)[field] = w.Strategy
	}
	found := model(t, w.Kind, object)
	found.Template = template
	return found
}

// model returns the workload that an object describes.
func model(t *testing.T, kind string, object map[string]any) scheduling.Workload {
	t.Helper()
	text, err := json.Marshal(object)
	require.NoError(t, err)
	var found scheduling.Workload
	switch kind {
	case "Deployment":
		var deployment appsv1.Deployment
		require.NoError(t, json.Unmarshal(text, &deployment))
		found, err = scheduling.Deployment(&deployment)
	case "StatefulSet":
		var set appsv1.StatefulSet
		require.NoError(t, json.Unmarshal(text, &set))
		found, err = scheduling.StatefulSet(&set)
	default:
		t.Fatalf("the kind %s is not known", kind)
	}
	require.NoError(t, err)
	return found
}

// The sizes of Azure's virtual machines. Source: learn.microsoft.com, "Ddsv5 size series".
var machines = map[string]struct{ cores, memoryGi int64 }{
	"Standard_D2ds_v5": {2, 8}, "Standard_D4ds_v5": {4, 16}, "Standard_D8ds_v5": {8, 32},
}

// reservedCPU is the CPU of a node that AKS reserves, in thousandths of a core, by the node's
// cores. Source: learn.microsoft.com, "Node resource reservations in Azure Kubernetes Service
// (AKS)".
var reservedCPU = map[int64]int64{2: 100, 4: 140, 8: 180}

const (
	mi = int64(1) << 20
	// evictionMi is the free memory below which the kubelet evicts pods (the same page, AKS 1.29
	// and later).
	evictionMi = 100
	// The agents that AKS runs on every node, such as the network's, the disks' and Azure Monitor's
	// (inferred `aks-agents`, and generous).
	agentsCPU, agentsMi = 500, 1024
)

// allocatable returns the resources of a node of the pool that are left for pods.
func allocatable(t *testing.T, p cluster.Pool, maxPods int) corev1.ResourceList {
	t.Helper()
	machine, known := machines[p.VMSize]
	require.True(t, known, "what a %s has is not known here; add it", p.VMSize)
	reservedMi := min(20*int64(maxPods)+50, machine.memoryGi*1024/4) // the same page
	return corev1.ResourceList{
		corev1.ResourceCPU:    *kube.NewMilliQuantity(machine.cores*1000-reservedCPU[machine.cores]-agentsCPU, kube.DecimalSI),
		corev1.ResourceMemory: *kube.NewQuantity((machine.memoryGi*1024-reservedMi-evictionMi-agentsMi)*mi, kube.BinarySI),
		corev1.ResourcePods:   *kube.NewQuantity(int64(maxPods), kube.DecimalSI),
	}
}

// pools returns the node pools of an environment, from its stack's file and the defaults.
func pools(t *testing.T, environment string) []scheduling.Pool {
	t.Helper()
	values, err := projectfile.Config(t.Context(), filepath.Join(root, stacks.Infra.Directory), environment)
	require.NoError(t, err)
	settings, err := infra.Load(config.FromMap(stacks.Infra.Name, environment, values), environment)
	require.NoError(t, err)
	s := settings.Cluster
	return []scheduling.Pool{
		{
			Name: "system", Min: s.SystemPool.Min, Max: s.SystemPool.Max, Zones: s.Zones,
			Allocatable: allocatable(t, s.SystemPool, s.MaxPods),
			Taints:      []corev1.Taint{{Key: "CriticalAddonsOnly", Value: "true", Effect: corev1.TaintEffectNoSchedule}},
		},
		{
			Name: "user", Min: s.UserPool.Min, Max: s.UserPool.Max, Zones: s.Zones, Allocatable: allocatable(t, s.UserPool, s.MaxPods),
		},
	}
}

// valuesOfChart returns the values that a chart is given, or nil for a chart that Argo CD renders
// with the values in the facts.
func valuesOfChart(t *testing.T, releases map[string]map[string]any, chart chartFacts) map[string]any {
	t.Helper()
	if chart.Release == "" {
		return nil
	}
	release := releases[chart.Release]
	require.NotNil(t, release, chart.Release)
	require.Equal(t, chart.Version, release["version"], "the facts are of another version of %s than the pinned one", chart.Chart)
	values, ok := release["values"].(map[string]any)
	require.True(t, ok)
	return values
}

// sizes returns the possible sizes of a workload: an autoscaled one at both of its bounds.
func sizes(t *testing.T, w workloadFacts, values map[string]any) []workloadFacts {
	t.Helper()
	least := w.with(t, values)
	if w.DecidedBy.MaxReplicas == "" {
		return []workloadFacts{least}
	}
	most := least
	most.Replicas = number(t, values, w.DecidedBy.MaxReplicas)
	return []workloadFacts{least, most}
}

func TestUnit_EveryWorkloadIsRolledInEveryEnvironment(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		nodes, releases := pools(t, environment), given(t, environment)
		for name, size := range map[string]func(scheduling.Pool) int{"smallest": scheduling.Smallest, "largest": scheduling.Largest} {
			t.Run(environment+" at its "+name, func(t *testing.T) {
				c := scheduling.NewCluster(size, nodes...)
				var installed []scheduling.Workload
				for _, chart := range facts(t) {
					values := valuesOfChart(t, releases, chart)
					for _, fact := range chart.Workloads {
						all := sizes(t, fact, values)
						w := all[len(all)-1].workload(t)
						require.NoError(t, c.Install(w), "%s cannot be installed", chart.Chart)
						installed = append(installed, w)
					}
				}
				for _, w := range installed {
					require.NoError(t, c.Roll(w))
				}
				for _, pool := range nodes {
					assert.LessOrEqual(t, c.Nodes(pool.Name), pool.Max)
				}
			})
		}
		// Each chart is tested alone, at each of its sizes, because the others leave more room, or
		// less.
		for _, chart := range facts(t) {
			values := valuesOfChart(t, releases, chart)
			for _, fact := range chart.Workloads {
				for _, sized := range sizes(t, fact, values) {
					c, w := scheduling.NewCluster(scheduling.Smallest, nodes...), sized.workload(t)
					require.NoError(t, c.Install(w), environment)
					assert.NoError(t, c.Roll(w), environment)
				}
			}
		}
	}
}

// With its own default strategy the chart would need a fourth node (argo-cd issues 8122 and 16627).
func TestUnit_TheChartsOwnStrategyOfHAProxyFindsNoRoomOnThreeNodes(t *testing.T) {
	t.Parallel()
	nodes := pools(t, "dev")
	require.Equal(t, 3, nodes[1].Max, "dev has as many nodes as Redis needs, and no more")
	chart, haproxy := fact(t, "argocd-redis-ha-haproxy")
	own := haproxy.workload(t)
	assert.Equal(t, 1, own.MaxSurge)
	assert.Equal(t, 0, own.MaxUnavailable)
	c := scheduling.NewCluster(scheduling.Largest, nodes...)
	require.NoError(t, c.Install(own))
	require.EqualError(t, c.Roll(own), "the rolling update of Deployment argocd-redis-ha-haproxy with 3 replicas, maxSurge 1 and "+
		"maxUnavailable 0 stops at 0 new pods: a pod finds no node: 3 nodes are tainted, 3 nodes have a pod that it must not be with, "+
		"and no pool may grow for it")

	ours := haproxy.with(t, valuesOfChart(t, given(t, "dev"), chart)).workload(t)
	c = scheduling.NewCluster(scheduling.Largest, nodes...)
	require.NoError(t, c.Install(ours))
	require.NoError(t, c.Roll(ours))
}

func fact(t *testing.T, name string) (chartFacts, workloadFacts) {
	t.Helper()
	for _, chart := range facts(t) {
		for _, w := range chart.Workloads {
			if w.Name == name {
				return chart, w
			}
		}
	}
	t.Fatalf("there are no facts about %s", name)
	return chartFacts{}, workloadFacts{}
}

// The facts about a subchart are those of the version in the Chart.lock of the chart that depends
// on it.
func TestUnit_EachVersionOfASubchartIsTheOneInTheFacts(t *testing.T) {
	t.Parallel()
	for _, chart := range facts(t) {
		name, version, found := strings.Cut(chart.Subchart, " ")
		if !found {
			continue
		}
		named := regexp.MustCompile(regexp.QuoteMeta(name) + ` \(?([0-9]+\.[0-9]+\.[0-9]+)`)
		for _, file := range []string{
			"bootstrap/argocd/testdata/" + chart.Chart + "-" + chart.Version + ".keys.txt", "bootstrap/argocd/values.go",
			"lab/internal/offline/charts/redis.go", "docs/stand-ins.md",
		} {
			text, err := os.ReadFile(filepath.Join(root, file))
			require.NoError(t, err)
			mentions := named.FindAllStringSubmatch(string(text), -1)
			require.NotEmpty(t, mentions, "%s does not say which %s it is about", file, name)
			for _, mention := range mentions {
				assert.Equal(t, version, mention[1], "%s: %s %s depends on %s", file, chart.Chart, chart.Version, chart.Subchart)
			}
		}
	}
}

// A budget that permits no disruption would block the draining of its node for ever.
func TestUnit_EveryBudgetLetsAPodGo(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		releases := given(t, environment)
		for _, chart := range facts(t) {
			values := valuesOfChart(t, releases, chart)
			for _, budget := range chart.Budgets {
				found := 0
				for _, w := range chart.Workloads {
					if !selected(t, budget.Selector, w.Labels) {
						continue
					}
					found++
					for _, sized := range sizes(t, w, values) {
						allowed := disruptions(t, budget.PodDisruptionBudgetSpec, int(sized.Replicas))
						assert.Positive(t, allowed, "%s in %s", budget.Name, environment)
					}
				}
				assert.Equal(t, 1, found, "%s is of one workload", budget.Name)
			}
		}
	}
}

func selected(t *testing.T, selector *metav1.LabelSelector, set map[string]string) bool {
	t.Helper()
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	require.NoError(t, err)
	return parsed.Matches(labels.Set(set))
}

// disruptions returns how many of a workload's pods a budget permits to be evicted at once.
// Percentages are rounded up (kubernetes.io, "Specifying a Disruption Budget for your
// Application").
func disruptions(t *testing.T, budget policyv1.PodDisruptionBudgetSpec, replicas int) int {
	t.Helper()
	scaled := func(value *intstr.IntOrString) int {
		count, err := intstr.GetScaledValueFromIntOrPercent(value, replicas, true)
		require.NoError(t, err)
		return count
	}
	if budget.MaxUnavailable != nil {
		return min(scaled(budget.MaxUnavailable), replicas)
	}
	if budget.MinAvailable != nil {
		return replicas - scaled(budget.MinAvailable)
	}
	return replicas
}

// The lab's stand-in charts behave as the real ones do with the values that gridos-bootstrap gives
// them: in the number of pods, how they are replaced, with which pods they must not share a node or
// a zone, how many of them may be evicted at once, and where Prometheus finds their metrics.
func TestEngine_TheStandInsAreAsTheRealCharts(t *testing.T) {
	wraps := map[string]struct {
		module string
		wrap   func(moduleDir, dest string) (string, error)
	}{
		"argo-cd":       {"github.com/argoproj/argo-cd/v3", WrapArgoCD},
		"argo-rollouts": {"github.com/argoproj/argo-rollouts", WrapArgoRollouts},
	}
	for _, chart := range facts(t) {
		stand, known := wraps[chart.Chart]
		if !known {
			continue // External Secrets' is the project's own chart, and Prometheus has no stand-in
		}
		moduleDir, err := (&toolchain.Resolver{ToolsDir: tools}).ModuleDir(t.Context(), toolchain.ArgoModule, stand.module)
		require.NoError(t, err)
		dir, err := stand.wrap(moduleDir, t.TempDir())
		require.NoError(t, err)
		for _, environment := range naming.Environments() {
			values := valuesOfChart(t, given(t, environment), chart)
			text, err := yaml.Marshal(values)
			require.NoError(t, err)
			objects := render(t, dir, string(text))
			workloads := 0
			for name, object := range objects {
				if object.GetKind() == "Deployment" || object.GetKind() == "StatefulSet" {
					workloads++
					_, known := fact(t, object.GetName())
					assert.Equal(t, known.Kind, object.GetKind(), name)
				}
			}
			assert.Equal(t, len(chart.Workloads), workloads)
			for _, w := range chart.Workloads {
				object := objects[w.Kind+" "+w.Name]
				require.NotNil(t, object, "%s %s", w.Kind, w.Name)
				wanted, stands := w.with(t, values).workload(t), model(t, w.Kind, object.Object)
				assert.Equal(t, wanted.Replicas, stands.Replicas, w.Name)
				assert.Equal(t, wanted.MaxSurge, stands.MaxSurge, "maxSurge of %s", w.Name)
				assert.Equal(t, wanted.MaxUnavailable, stands.MaxUnavailable, "maxUnavailable of %s", w.Name)
				assert.Equal(t, demands(t, wanted.Template), demands(t, stands.Template), "required by %s", w.Name)
				assert.Equal(t, permitted(t, chart.Budgets, wanted), permittedBy(t, objects, stands), "disruptions of %s", w.Name)
				if by := annotated[w.Name]; by.path != "" {
					for key, value := range map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": by.port} {
						assert.Equal(t, value, stands.Template.Annotations[key], "%s of %s", key, w.Name)
					}
				}
			}
		}
	}
}

// demands returns a pod's requirements about the places of similar pods.
func demands(t *testing.T, template corev1.PodTemplateSpec) []string {
	t.Helper()
	var list []string
	if a := template.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		for _, term := range a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			assert.True(t, selected(t, term.LabelSelector, template.Labels), "it is about the workload's own pods")
			list = append(list, "one per "+term.TopologyKey)
		}
	}
	for _, constraint := range template.Spec.TopologySpreadConstraints {
		if constraint.WhenUnsatisfiable == corev1.DoNotSchedule {
			list = append(list, fmt.Sprintf("even by %s to %d", constraint.TopologyKey, constraint.MaxSkew))
		}
	}
	return list
}

// permitted returns how many pods of w the budgets permit to be evicted at once.
func permitted(t *testing.T, budgets []budgetFacts, w scheduling.Workload) int {
	t.Helper()
	least := w.Replicas
	for _, budget := range budgets {
		if selected(t, budget.Selector, w.Template.Labels) {
			least = min(least, disruptions(t, budget.PodDisruptionBudgetSpec, w.Replicas))
		}
	}
	return least
}

func permittedBy(t *testing.T, objects map[string]*unstructured.Unstructured, w scheduling.Workload) int {
	t.Helper()
	var budgets []budgetFacts
	for _, object := range objects {
		if object.GetKind() == "PodDisruptionBudget" {
			var budget policyv1.PodDisruptionBudget
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &budget))
			budgets = append(budgets, budgetFacts{budget.Name, budget.Spec})
		}
	}
	return permitted(t, budgets, w)
}
