package support

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/stacks"
)

// What has a version. Charts, APIs, plugins and tools have names of their own, made by the
// functions below.
const (
	Kubernetes = "Kubernetes on AKS"
	Mesh       = "Istio add-on of AKS"
	PostgreSQL = "PostgreSQL on Azure"
	Go         = "Go"
	Debian     = "Debian, where the image is built"
	CLI        = "Pulumi CLI and SDK"
	Runtime    = "runtime of GitHub's actions"
)

// Chart is what a Helm chart is called.
func Chart(name string) string { return "chart " + name }

// API is what the API of an Azure service is called, by the service's module in the SDK.
func API(module string) string { return "Azure API of " + module }

// Plugin is what a plugin of Pulumi is called.
func Plugin(name string) string { return "Pulumi plugin " + name }

// Tool is what a tool of the lab is called, by its folder in tools, or by its name where a folder
// pins several.
func Tool(name string) string { return "tool " + name }

// dated matches the version of an API as the SDK writes it.
var dated = regexp.MustCompile(`^v(\d{4})(\d\d)(\d\d)(preview)?$`)

// APIVersion returns the version of an API, such as 2024-09-01, that the SDK writes like v20240901.
func APIVersion(written string) (string, bool) {
	found := dated.FindStringSubmatch(written)
	if found == nil {
		return "", false
	}
	version := strings.Join(found[1:4], "-")
	if found[4] != "" {
		version += "-" + found[4]
	}
	return version, true
}

// Of returns the versions that a resource names, by its type token and its inputs. A value that is
// known only after an update is none.
func Of(token string, inputs map[string]any) []Named {
	var named []Named
	add := func(what string, version any) {
		if text, ok := version.(string); ok && text != "" && !slices.Contains(stacks.Placeholders(), text) {
			named = append(named, Named{What: what, Version: text})
		}
	}
	pkg, rest, _ := strings.Cut(token, ":")
	module, kind, _ := strings.Cut(rest, ":")
	module, written, _ := strings.Cut(module, "/")
	switch pkg {
	case "azure-native":
		if version, ok := APIVersion(written); ok {
			add(API(module), version)
		}
		ofAzure(module+":"+kind, inputs, add)
	case "kubernetes":
		switch module + ":" + kind {
		case "helm.sh:Release":
			version, _ := inputs["version"].(string)
			add(Chart(chartName(inputs["chart"], version)), version)
		case "argoproj.io:Application":
			if source := object(inputs, "spec", "source"); source["chart"] != nil {
				add(Chart(chartName(source["chart"], "")), source["targetRevision"])
			}
		}
	case "pulumi":
		if module == "providers" {
			add(Plugin(kind), inputs["version"])
		}
	}
	return named
}

func ofAzure(kind string, inputs map[string]any, add func(what string, version any)) {
	switch kind {
	case "containerservice:ManagedCluster":
		add(Kubernetes, inputs["kubernetesVersion"])
		revisions, _ := object(inputs, "serviceMeshProfile", "istio")["revisions"].([]any)
		for _, revision := range revisions {
			add(Mesh, revision)
		}
	case "dbforpostgresql:Server":
		add(PostgreSQL, inputs["version"])
	}
}

// object returns the object at a path, or an empty one.
func object(of map[string]any, at ...string) map[string]any {
	for _, key := range at {
		of, _ = of[key].(map[string]any)
	}
	return of
}

// chartName returns the name of a chart that is given by its name, or by the path of its package.
func chartName(given any, version string) string {
	text, _ := given.(string)
	return strings.TrimSuffix(strings.TrimSuffix(path.Base(text), ".tgz"), "-"+version)
}

// Distinct returns each version once, sorted.
func Distinct(named []Named) []Named {
	sorted := slices.Clone(named)
	slices.SortFunc(sorted, func(a, b Named) int { return strings.Compare(a.What+"\x00"+a.Version, b.What+"\x00"+b.Version) })
	return slices.Compact(sorted)
}
