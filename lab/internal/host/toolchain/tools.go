package toolchain

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"golang.org/x/mod/modfile"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/gridos/sharedinfra/internal/promtool"
)

// Names of the tools; each is also the name of the tool's binary.
const (
	Pulumi                = "pulumi"
	PulumiKubernetes      = "pulumi-resource-kubernetes"
	Etcd                  = "etcd"
	KubeAPIServer         = "kube-apiserver"
	KubeControllerManager = "kube-controller-manager"
	KubeScheduler         = "kube-scheduler"
	ArgoCD                = "argocd"
	ArgoRollouts          = "rollouts-controller"
	ArgoRolloutsPlugin    = "kubectl-argo-rollouts"
	Kubectl               = "kubectl"
	Kustomize             = "kustomize"
	Prometheus            = "prometheus"
)

// Folders in tools/ whose nested modules pin several tools, so that what these share is compiled
// once.
const (
	// KubernetesModule pins etcd, the parts of Kubernetes and Kustomize.
	KubernetesModule = "kubernetes"
	// ArgoModule pins Argo CD and Argo Rollouts.
	ArgoModule = "argo"
)

// Tool describes one program: how it is pinned, how it is built, and how to recognise an installed
// copy.
type Tool struct {
	// Name is the binary's name.
	Name string
	// Module is the folder in tools/ with the nested Go module that pins the tool.
	Module string
	// Package is the import path of the main package, or "." if it is the nested module's own.
	Package string
	// Pin is the module path whose version in the nested module's go.mod is the tool's version.
	Pin string
	// LDFlags are the linker flags; {version}, {major}, {minor} and {patch} stand for the pinned
	// version.
	LDFlags string
	// Embed lists files that the main package embeds but which come from a dependency.
	Embed Embed
	// Tags are build tags.
	Tags []string
	// Patches change sources of dependencies, where the program has no flag for the change.
	Patches []Patch
	// Cuts make less to compile: they leave parts of dependencies out that the lab's programs do not
	// call, or let tools share libraries. Unlike with Patches, any complete copy of the tool serves as
	// well.
	Cuts []Patch
	// Match says how close the version of an installed copy must be to the pin.
	Match Match

	release     func(pinned string) string                          // the number that the binary prints, if the module has another
	versionArgs []string                                            // make the binary print its version; empty for a provider
	ownCache    func(r *Resolver, version string) ([]string, error) // where the tool's own installer puts it
}

// Embed names files of a module in the nested module's build list that the go command must see
// beside the main package, so that generated files need not be copied into this repository.
type Embed struct {
	Module string // module path
	Dir    string // slash-separated folder inside that module
	Files  []string
}

// Patch replaces a text in a file of a module in the nested module's build list. A changed copy of
// the module is built and then deleted; no part of it gets into this repository.
type Patch struct {
	Module string // module path
	File   string // slash-separated path inside that module
	// Old is in the file exactly once: if a pin's source does not have it, that is an error, not a
	// build without the change.
	Old, New string
}

// Match is a rule for accepting a version.
type Match int

const (
	// Exact accepts the pinned version alone. The engine asks for plugins by their exact version.
	Exact Match = iota
	// SameMinor accepts every patch release. The parts of Kubernetes work together within a minor
	// version.
	SameMinor
)

func (m Match) accepts(pinned, found string) bool {
	want, err := semver.ParseTolerant(pinned)
	if err != nil {
		return false
	}
	got, err := semver.ParseTolerant(found)
	if err != nil || len(got.Pre) > 0 {
		return false
	}
	if m == SameMinor {
		return got.Major == want.Major && got.Minor == want.Minor
	}
	return got.EQ(want)
}

const (
	stripped          = "-s -w"
	kubernetesVersion = stripped + " -X k8s.io/component-base/version.gitVersion=v{version}" +
		" -X k8s.io/component-base/version.gitMajor={major} -X k8s.io/component-base/version.gitMinor={minor}"
)

// tools is the catalogue.
func tools() []Tool {
	return []Tool{
		{
			Name: Pulumi, Module: "pulumi", Package: cliModule + "/cmd/pulumi",
			Pin: cliModule,
			// Without this variable the CLI has no version and the Automation API refuses it.
			LDFlags:     stripped + " -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",
			Cuts:        withoutClouds(),
			versionArgs: []string{"version"},
			ownCache:    automationInstallation,
		},
		{
			Name: PulumiKubernetes, Module: "pulumi-resource-kubernetes", Package: ".",
			// The provider's module has no release tags that the Go proxy knows; the SDK in its
			// go.mod has the number of the release.
			Pin:     "github.com/pulumi/pulumi-kubernetes/sdk/v4",
			LDFlags: stripped + " -X main.version={version}",
			Embed: Embed{
				Module: providerModule,
				Dir:    "cmd/pulumi-resource-kubernetes",
				Files:  []string{"schema.json", "terraform-mapping.json"},
			},
			Cuts:     withoutComponents(),
			ownCache: enginePlugin,
		},
		{
			Name: Etcd, Module: KubernetesModule, Package: "go.etcd.io/etcd/server/v3", Pin: "go.etcd.io/etcd/server/v3",
			LDFlags: stripped, Match: SameMinor, versionArgs: []string{"--version"},
			ownCache: envtestAssets(Etcd),
		},
		{
			Name: KubeAPIServer, Module: KubernetesModule, Package: "k8s.io/kubernetes/cmd/kube-apiserver", Pin: "k8s.io/kubernetes",
			LDFlags: kubernetesVersion, Match: SameMinor, versionArgs: []string{"--version"},
			ownCache: envtestAssets(KubeAPIServer),
		},
		{
			Name: KubeControllerManager, Module: KubernetesModule, Package: "k8s.io/kubernetes/cmd/kube-controller-manager",
			Pin: "k8s.io/kubernetes", LDFlags: kubernetesVersion, Match: SameMinor, versionArgs: []string{"--version"},
		},
		{
			Name: KubeScheduler, Module: KubernetesModule, Package: "k8s.io/kubernetes/cmd/kube-scheduler",
			Pin: "k8s.io/kubernetes", LDFlags: kubernetesVersion, Match: SameMinor, versionArgs: []string{"--version"},
		},
		{
			// One binary contains every component of Argo CD; the name by which it is called
			// selects one.
			Name: ArgoCD, Module: ArgoModule, Package: "github.com/argoproj/argo-cd/v3/cmd", Pin: "github.com/argoproj/argo-cd/v3",
			LDFlags: stripped + " -X github.com/argoproj/argo-cd/v3/common.version={version}",
			Patches: []Patch{
				onLoopback("github.com/argoproj/argo-cd/v3", "controller/appcontroller.go", `fmt.Sprintf("0.0.0.0:%d", metricsPort)`),
				onLoopback("github.com/argoproj/argo-cd/v3", "cmd/argocd-notification/commands/controller.go",
					`fmt.Sprintf("0.0.0.0:%d", metricsPort)`),
				{
					// It does not authenticate its clients, and runs what they ask for. So its
					// address is a socket, which only users with access to its folder can reach.
					Module: "github.com/argoproj/argo-cd/v3", File: "cmd/argocd-repo-server/commands/argocd_repo_server.go",
					Old: `net.Listen("tcp", fmt.Sprintf("%s:%d", listenHost, listenPort))`,
					New: `func() (net.Listener, error) { _ = os.Remove(listenHost); return net.Listen("unix", listenHost) }()`,
				},
			},
		},
		{
			Name: ArgoRollouts, Module: ArgoModule, Package: "github.com/argoproj/argo-rollouts/cmd/rollouts-controller",
			Pin: "github.com/argoproj/argo-rollouts", LDFlags: stripped,
			Patches: []Patch{
				onLoopback("github.com/argoproj/argo-rollouts", "controller/controller.go", `= "0.0.0.0:%d"`),
			},
		},
		{
			// This is the program behind `kubectl argo rollouts`.
			Name: ArgoRolloutsPlugin, Module: ArgoModule, Package: "github.com/argoproj/argo-rollouts/cmd/kubectl-argo-rollouts",
			Pin: "github.com/argoproj/argo-rollouts", versionArgs: []string{"version", "--short"},
			// It reports a version only if all three are set.
			LDFlags: stripped + " -X github.com/argoproj/argo-rollouts/utils/version.gitTag=v{version}" +
				" -X github.com/argoproj/argo-rollouts/utils/version.gitCommit=v{version}" +
				" -X github.com/argoproj/argo-rollouts/utils/version.gitTreeState=clean",
		},
		{
			Name: Prometheus, Module: Prometheus, Package: prometheusModule + "/cmd/prometheus", Pin: prometheusModule,
			LDFlags: stripped + " -X github.com/prometheus/common/version.Version={version}",
			Tags:    promtool.Tags(),
			Cuts:    withoutItsSpecification(),
			release: prometheusRelease, versionArgs: []string{"--version"},
		},
		{
			Name: Kubectl, Module: KubernetesModule, Package: "k8s.io/kubernetes/cmd/kubectl",
			Pin: "k8s.io/kubernetes", LDFlags: kubernetesVersion, Match: SameMinor, versionArgs: []string{"version", "--client"},
		},
		{
			Name: Kustomize, Module: KubernetesModule, Package: "sigs.k8s.io/kustomize/kustomize/v5",
			Pin: "sigs.k8s.io/kustomize/kustomize/v5", Match: SameMinor, versionArgs: []string{"version"},
			LDFlags: stripped + " -X sigs.k8s.io/kustomize/api/provenance.version=v{version}",
		},
	}
}

// onLoopback keeps a server without a flag for its address from listening on every address of the
// machine. Installed copies of such a tool do that, so they are not used.
func onLoopback(module, file, address string) Patch {
	return Patch{Module: module, File: file, Old: address, New: strings.Replace(address, "0.0.0.0", "127.0.0.1", 1)}
}

// ForInfra returns the names of the tools without which not even gridos-infra comes up.
func ForInfra() []string { return []string{Pulumi} }

// ForCluster returns the names of the tools that run the Kubernetes control plane.
func ForCluster() []string {
	return []string{Etcd, KubeAPIServer, KubeControllerManager, KubeScheduler}
}

// All returns the names of the tools that every lab runs, in the order in which it needs them.
func All() []string { return slices.Concat(ForInfra(), ForCluster(), []string{PulumiKubernetes}) }

// GitOps returns the names of the tools that a lab needs besides All for the real Argo CD, Argo
// Rollouts and Prometheus.
func GitOps() []string { return []string{ArgoCD, ArgoRollouts, Prometheus, ArgoRolloutsPlugin} }

// ForManifests returns the names of the tools that render and apply the application's manifests.
func ForManifests() []string { return []string{Kustomize, Kubectl} }

// Version returns the pinned version of a tool, without a leading v, by its nested module's go.mod.
func (r *Resolver) Version(name string) (string, error) {
	tool, err := r.tool(name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.ToolsDir, tool.Module, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the pin of %s cannot be read; is this a complete checkout of the repository?: %w", name, err)
	}
	file, err := modfile.Parse(path, content, nil)
	if err != nil {
		return "", fmt.Errorf("the pin of %s cannot be read: %w", name, err)
	}
	for _, require := range file.Require {
		if require.Mod.Path == tool.Pin {
			pinned := strings.TrimPrefix(require.Mod.Version, "v")
			if tool.release != nil {
				pinned = tool.release(pinned)
			}
			return pinned, nil
		}
	}
	return "", fmt.Errorf("%s does not pin %s: it requires no %s", path, name, tool.Pin)
}

func (r *Resolver) tools() []Tool {
	if r.catalogue != nil {
		return r.catalogue
	}
	return tools()
}

func (r *Resolver) tool(name string) (Tool, error) {
	catalogue := r.tools()
	i := slices.IndexFunc(catalogue, func(t Tool) bool { return t.Name == name })
	if i < 0 {
		return Tool{}, fmt.Errorf("there is no tool %q; the lab's tools are %s", name, strings.Join(All(), ", "))
	}
	return catalogue[i], nil
}

// prometheusRelease returns the release of a version of Prometheus' module: v0.314.0 is the release
// 3.14.0, because the module has no major version (README of Prometheus 3.14, "Prometheus code
// base").
func prometheusRelease(pinned string) string {
	v, err := semver.Parse(pinned)
	if err != nil || v.Major != 0 {
		return pinned
	}
	v.Major, v.Minor = v.Minor/100, v.Minor%100
	return v.String()
}

// automationInstallation is where the Automation API installs a CLI.
func automationInstallation(_ *Resolver, version string) ([]string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, nil //nolint:nilerr // in a container without a home there is none
	}
	return []string{filepath.Join(home, ".pulumi", "versions", version, "bin", Pulumi)}, nil
}

// enginePlugin returns the folder of the engine's plugins ($PULUMI_HOME/plugins). A file beside the
// plugin's folder marks an unfinished download.
func enginePlugin(_ *Resolver, version string) ([]string, error) {
	plugins, err := workspace.GetPluginDir()
	if err != nil {
		return nil, nil //nolint:nilerr // as above
	}
	dir := filepath.Join(plugins, "resource-kubernetes-v"+version)
	if _, err := os.Stat(dir + ".partial"); err == nil {
		return nil, nil
	}
	return []string{filepath.Join(dir, PulumiKubernetes)}, nil
}

// envtestAssets is where controller-runtime's envtest and its setup-envtest keep the binaries of an
// API server.
func envtestAssets(name string) func(*Resolver, string) ([]string, error) {
	return func(r *Resolver, _ string) ([]string, error) {
		var places []string
		if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
			places = append(places, filepath.Join(dir, name))
		}
		kubernetes, err := r.Version(KubeAPIServer)
		if err != nil {
			return nil, err
		}
		store, err := envtest.SetupEnvtestDefaultBinaryAssetsDirectory()
		if err != nil {
			return places, nil //nolint:nilerr // as above
		}
		return append(places, filepath.Join(store, kubernetes+"-"+runtime.GOOS+"-"+runtime.GOARCH, name)), nil
	}
}
