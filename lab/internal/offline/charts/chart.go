package charts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// chart is a Helm chart being made from a manifest.
type chart struct {
	name       string
	appVersion string
	values     map[string]any
	objects    []*object
	// adopted has files of an existing chart, by their paths in it.
	adopted map[string]string
	// expressions are the template expressions of all objects; placeholder(i) represents expression
	// i.
	expressions []string
}

// object is one object of the manifest. Its fields may hold placeholders.
type object struct {
	*unstructured.Unstructured
	// condition is the template expression that decides whether the object is part of a release; empty
	// means always.
	condition string
}

// scope says, for the kinds in the manifests, whether they live in a namespace. It is a list
// because the manifests do not say it, and there may be no API server to ask yet.
var scope = map[string]bool{
	"ConfigMap":                true,
	"Deployment":               true,
	"HorizontalPodAutoscaler":  true,
	"Ingress":                  true,
	"Job":                      true,
	"NetworkPolicy":            true,
	"PodDisruptionBudget":      true,
	"Role":                     true,
	"RoleBinding":              true,
	"Secret":                   true,
	"Service":                  true,
	"ServiceAccount":           true,
	"StatefulSet":              true,
	"ClusterRole":              false,
	"ClusterRoleBinding":       false,
	"CustomResourceDefinition": false,
}

// readManifest reads a manifest of a module and makes the changes that every chart needs: the
// release's namespace, wherever the manifest names none or its own, and the labels that name an
// object's release.
func readManifest(name, moduleDir, manifest string) (*chart, error) {
	file := filepath.Join(moduleDir, filepath.FromSlash(manifest))
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("chart %s: read the official manifest, which the Go module should hold: %w", name, err)
	}
	c := &chart{name: name, appVersion: moduleVersion(moduleDir)}
	documents := yamlutil.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("chart %s: read %s: %w", name, file, err)
		}
		fields := map[string]any{}
		if err := yamlutil.Unmarshal(document, &fields); err != nil {
			return nil, fmt.Errorf("chart %s: read %s: %w", name, file, err)
		}
		if len(fields) == 0 {
			continue // only comments between two separators
		}
		c.objects = append(c.objects, &object{Unstructured: &unstructured.Unstructured{Object: fields}})
	}
	if len(c.objects) == 0 {
		return nil, fmt.Errorf("chart %s: %s holds no object", name, file)
	}
	for _, object := range c.objects {
		if err := c.placeInRelease(object); err != nil {
			return nil, fmt.Errorf("chart %s: %s: %w", name, file, err)
		}
	}
	return c, nil
}

// moduleVersion returns the version in the name of a directory of Go's module cache, or v0.0.0 for
// any other directory.
func moduleVersion(dir string) string {
	if _, version, found := strings.Cut(filepath.Base(filepath.Clean(dir)), "@"); found {
		return version
	}
	return "v0.0.0"
}

func (c *chart) placeInRelease(o *object) error {
	namespaced, known := scope[o.GetKind()]
	if !known || o.GetName() == "" {
		return fmt.Errorf("object %q of kind %q: not known whether it belongs in a namespace; add the kind to this package's list",
			o.GetName(), o.GetKind())
	}
	if namespaced {
		o.SetNamespace(c.expression("{{ .Release.Namespace }}"))
	}
	labels := o.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels["app.kubernetes.io/instance"] = c.expression("{{ .Release.Name }}")
	labels["app.kubernetes.io/managed-by"] = c.expression("{{ .Release.Service }}")
	o.SetLabels(labels)

	subjects, _, err := unstructured.NestedSlice(o.Object, "subjects")
	if err != nil || len(subjects) == 0 {
		return err
	}
	for _, subject := range subjects {
		if fields, ok := subject.(map[string]any); ok && fields["namespace"] != nil {
			fields["namespace"] = c.expression("{{ .Release.Namespace }}")
		}
	}
	return unstructured.SetNestedSlice(o.Object, subjects, "subjects")
}

// find returns an object that a value changes. A missing one is an error: the manifest of another
// version may have renamed it, and a value without effect would go unnoticed.
func (c *chart) find(kind, name string) (*object, error) {
	for _, object := range c.objects {
		if object.GetKind() == kind && object.GetName() == name {
			return object, nil
		}
	}
	return nil, fmt.Errorf("chart %s: the manifest of %s has no %s %s", c.name, c.appVersion, kind, name)
}

// set puts a template expression at a path of an object.
func (c *chart) set(kind, name, expression string, path ...string) error {
	object, err := c.find(kind, name)
	if err != nil {
		return err
	}
	if err := unstructured.SetNestedField(object.Object, c.expression(expression), path...); err != nil {
		return fmt.Errorf("chart %s: %s %s: %w", c.name, kind, name, err)
	}
	return nil
}

// setEnvironment sets an existing environment variable of a container to a template expression.
func (c *chart) setEnvironment(kind, name, variable, expression string) error {
	object, err := c.find(kind, name)
	if err != nil {
		return err
	}
	return c.eachContainer(object, func(container map[string]any) error {
		environment, _, err := unstructured.NestedSlice(container, "env")
		if err != nil {
			return err
		}
		for _, entry := range environment {
			if fields, ok := entry.(map[string]any); ok && fields["name"] == variable {
				fields["value"] = c.expression(expression)
				return unstructured.SetNestedSlice(container, environment, "env")
			}
		}
		return fmt.Errorf("no container variable %s", variable)
	})
}

// eachContainer applies change to the containers of a workload; it must succeed for one of them.
func (c *chart) eachContainer(o *object, change func(container map[string]any) error) error {
	path := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(o.Object, path...)
	if err != nil {
		return fmt.Errorf("chart %s: %s %s: %w", c.name, o.GetKind(), o.GetName(), err)
	}
	var errs []error
	for _, container := range containers {
		if fields, ok := container.(map[string]any); ok {
			if err := change(fields); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if len(errs) == len(containers) {
		return fmt.Errorf("chart %s: %s %s: %w", c.name, o.GetKind(), o.GetName(), errors.Join(errs...))
	}
	return unstructured.SetNestedSlice(o.Object, containers, path...)
}

// customResourceDefinitions makes the definitions follow two boolean values: whether they are
// installed, and whether they survive the release's end. To let them be deleted, the annotation
// must be left out altogether: Helm deletes no object that has it, whatever its value.
func (c *chart) customResourceDefinitions(install, keep string) error {
	for _, object := range c.objects {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		object.condition = install
		var block strings.Builder
		fmt.Fprintf(&block, "\n    {{- if %s }}\n    helm.sh/resource-policy: keep\n    {{- end }}", keep)
		annotations := object.GetAnnotations()
		for _, key := range slices.Sorted(maps.Keys(annotations)) {
			fmt.Fprintf(&block, "\n    %s: %s", key, escape(strconv.Quote(annotations[key])))
		}
		err := unstructured.SetNestedField(object.Object, c.expression(block.String()), "metadata", "annotations")
		if err != nil {
			return fmt.Errorf("chart %s: CustomResourceDefinition %s: %w", c.name, object.GetName(), err)
		}
	}
	return nil
}

// expression returns a placeholder for a template expression until the object is YAML. In the
// object itself, the expression's braces and quotes would be quoted as text.
func (c *chart) expression(expression string) string {
	c.expressions = append(c.expressions, expression)
	return placeholder(len(c.expressions) - 1)
}

// placeholder returns a word that YAML writes without quotes and that no manifest has.
func placeholder(i int) string { return fmt.Sprintf("gridosLabExpression%dEnd", i) }

var placeholders = regexp.MustCompile(`gridosLabExpression(\d+)End`)

// escape makes Helm print text that looks like a template expression unchanged; Argo's notification
// templates are full of it.
func escape(text string) string { return strings.ReplaceAll(text, "{{", `{{ "{{" }}`) }

// template is the object's file in the chart.
func (c *chart) template(o *object) (string, error) {
	content, err := yaml.Marshal(o.Object)
	if err != nil {
		return "", fmt.Errorf("chart %s: encode %s %s: %w", c.name, o.GetKind(), o.GetName(), err)
	}
	text := escape(string(content))
	text = placeholders.ReplaceAllStringFunc(text, func(found string) string {
		var i int
		if _, scanErr := fmt.Sscanf(found, "gridosLabExpression%dEnd", &i); scanErr != nil || i >= len(c.expressions) {
			err = fmt.Errorf("chart %s: %s %s holds the reserved word %s", c.name, o.GetKind(), o.GetName(), found)
			return found
		}
		return c.expressions[i]
	})
	if o.condition != "" {
		text = "{{- if " + o.condition + " }}\n" + text + "{{- end }}\n"
	}
	return text, err
}

// write writes the chart under dest and returns its directory. It replaces an earlier one in one
// step, so that no reader sees half a chart. Equal inputs give equal files, so that a release sees
// no change.
func (c *chart) write(dest string) (dir string, err error) {
	if err := os.MkdirAll(dest, 0o755); err != nil {
		return "", fmt.Errorf("chart %s: %w", c.name, err)
	}
	temporary, err := os.MkdirTemp(dest, "."+c.name+"-")
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", c.name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()

	files := map[string]string{}
	metadata, err := yaml.Marshal(map[string]any{
		"apiVersion":  "v2",
		"name":        c.name,
		"type":        "application",
		"description": "The official manifests of " + c.name + " as a chart, for machines without the chart repository",
		// The build part names the version of the content. See StandInFor for a version that says
		// more.
		"version":    "0.0.0+" + strings.TrimPrefix(c.appVersion, "v"),
		"appVersion": c.appVersion,
	})
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", c.name, err)
	}
	values, err := yaml.Marshal(c.values)
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", c.name, err)
	}
	files["Chart.yaml"], files["values.yaml"] = string(metadata), string(values)
	maps.Copy(files, c.adopted)
	for _, object := range c.objects {
		name := filepath.Join("templates", strings.ToLower(object.GetKind())+"-"+object.GetName()+".yaml")
		if _, taken := files[name]; taken {
			return "", fmt.Errorf("chart %s: the manifest holds %s %s twice", c.name, object.GetKind(), object.GetName())
		}
		if files[name], err = c.template(object); err != nil {
			return "", err
		}
	}
	for name, content := range files {
		path := filepath.Join(temporary, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", fmt.Errorf("chart %s: %w", c.name, err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return "", fmt.Errorf("chart %s: %w", c.name, err)
		}
	}

	dir = filepath.Join(dest, c.name)
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("chart %s: replace the earlier one: %w", c.name, err)
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return "", fmt.Errorf("chart %s: %w", c.name, err)
	}
	if err := os.Rename(temporary, dir); err != nil {
		return "", fmt.Errorf("chart %s: %w", c.name, err)
	}
	return dir, nil
}
