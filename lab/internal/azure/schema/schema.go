// Package schema has the statements of Azure's REST specifications about the resource types of the
// simulated Azure: which properties a request has, which it requires and which only Azure sets, and
// the values and bounds of each. azure.json is derived from Microsoft's own packages (make
// azure-schema), not from this project's assumptions.
package schema

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

//go:embed azure.json
var data []byte

// Type has the specifications' facts about the request that creates a resource type.
type Type struct {
	// Package and Version name the npm package with the specification.
	Package, Version string
	// APIVersion is the version of Azure's API that the package speaks, such as 2024-09-01.
	APIVersion string
	// Names are the facts about parameters of the id, by parameter.
	Names map[string]*Facts
	// Query are the parameters that are neither part of the id nor of the body.
	Query []string

	model model
}

// Facts are what is known about one property.
type Facts struct {
	// Wire is the dotted path that the property has in the body of the request.
	Wire string `json:"wire"`
	// Required properties are in every request, and ReadOnly ones in no request.
	Required bool `json:"required"`
	ReadOnly bool `json:"readOnly"`
	// Type is a type of Microsoft's mappers, such as String, Sequence or Composite.
	Type string `json:"type"`
	// Enum are the only allowed values, if there is a list.
	Enum []any `json:"enum"`

	Pattern          string   `json:"pattern"`
	MinLength        *int     `json:"minLength"`
	MaxLength        *int     `json:"maxLength"`
	MinItems         *int     `json:"minItems"`
	MaxItems         *int     `json:"maxItems"`
	UniqueItems      bool     `json:"uniqueItems"`
	Minimum          *float64 `json:"minimum"`
	Maximum          *float64 `json:"maximum"`
	ExclusiveMinimum *float64 `json:"exclusiveMinimum"`
	ExclusiveMaximum *float64 `json:"exclusiveMaximum"`
	MultipleOf       *float64 `json:"multipleOf"`

	// Items are the facts about each element of a list, Values those about each value of a map.
	Items  *Facts `json:"items"`
	Values *Facts `json:"values"`

	// Client is the name of the property in clients, if it differs from the one on the wire.
	Client string `json:"client"`
	Model  string `json:"model"`

	pattern *regexp.Regexp
	model   model
}

// model has the properties of an object under their names in lower case: azure-native writes some
// with other capitals, and some with the name that clients use.
type model map[string]*Facts

// required returns the names, as on the wire, of the properties that a request requires.
func (m model) required() []string {
	var names []string
	for name, facts := range m {
		if own := facts.name(); facts.Required && !facts.ReadOnly && strings.EqualFold(name, own) {
			names = append(names, own)
		}
	}
	return names
}

// name is the last part of the path on the wire.
func (f *Facts) name() string { return f.Wire[strings.LastIndex(f.Wire, ".")+1:] }

// Constrained reports whether the specification says more about the property than its type.
func (f *Facts) Constrained() bool {
	return f.Required || f.ReadOnly || len(f.Enum) > 0 || f.Pattern != "" || f.MinLength != nil || f.MaxLength != nil || f.MinItems != nil ||
		f.MaxItems != nil || f.UniqueItems || f.Minimum != nil || f.Maximum != nil || f.ExclusiveMinimum != nil || f.ExclusiveMaximum != nil ||
		f.MultipleOf != nil || f.Items != nil && f.Items.Constrained()
}

// At returns the facts about a property, or nil if the specification does not have it. A path is
// dotted and has no indexes.
func (t *Type) At(path string) *Facts {
	within := t.model
	var facts *Facts
	for _, name := range strings.Split(path, ".") {
		if facts != nil && facts.Values != nil {
			facts = facts.Values
		} else if facts = within[strings.ToLower(name)]; facts == nil {
			return nil
		}
		for facts.Items != nil {
			facts = facts.Items
		}
		within = facts.model
	}
	return facts
}

// later are values that Azure accepts by now but the package does not list, by the id of a type and
// the path of the property. Azure adds to some lists without a new version of its API.
var later = map[string]map[string][]any{
	// azure-sdk-for-net, Azure.Provisioning.PostgreSql 1.2.0-beta.1, 27 February 2026.
	"Microsoft.DBforPostgreSQL/flexibleServers": {"version": {"18", "17"}},
	// azure-rest-api-specs#21200: Azure's list of streams is longer than the specification's. These
	// are those of azure-monitor-docs, containers/kubernetes-monitoring-enable-arm, 11 March 2024.
	"Microsoft.Insights/dataCollectionRules": {"dataSources.extensions.streams": streams, "dataFlows.streams": streams},
}

// streams are those of Container Insights, the group of them, and that of Prometheus
// (Azure/prometheus-collector at efb03e9, CustomDcrAndDceArmTemplates).
var streams = []any{
	"Microsoft-ContainerInsights-Group-Default", "Microsoft-ContainerInventory", "Microsoft-ContainerLog", "Microsoft-ContainerLogV2",
	"Microsoft-ContainerLogV2-HighScale", "Microsoft-ContainerNodeInventory", "Microsoft-KubeEvents", "Microsoft-KubeMonAgentEvents",
	"Microsoft-KubeNodeInventory", "Microsoft-KubePodInventory", "Microsoft-KubePVInventory", "Microsoft-KubeServices",
	"Microsoft-PrometheusMetrics",
}

// eased are properties that a later version of Azure's API than the package's does not require, by
// the id of a type.
var eased = map[string][]string{
	// Specification insights 2020-10-01, AlertRuleAnyOfOrLeafCondition: a condition may have anyOf
	// instead.
	"Microsoft.Insights/activityLogAlerts": {"condition.allOf.field", "condition.allOf.equals"},
}

// Of returns the facts about an ARM type, or nil if azure.json does not have it.
func Of(kind string) *Type { return all()[strings.ToLower(kind)] }

// all is azure.json by ARM type in lower case. The file belongs to the program: if it cannot be
// read, that is a programming mistake.
var all = sync.OnceValue(func() map[string]*Type {
	types, err := parse(data)
	if err != nil {
		panic(fmt.Sprintf("lab/internal/azure/schema/azure.json: %v; make azure-schema writes it again", err))
	}
	return types
})

func parse(text []byte) (map[string]*Type, error) {
	var file struct {
		Packages map[string]string `json:"packages"`
		Types    map[string]struct {
			Package    string            `json:"package"`
			APIVersion string            `json:"apiVersion"`
			Model      string            `json:"model"`
			Names      map[string]*Facts `json:"names"`
			Query      []string          `json:"query"`
		} `json:"types"`
		Models map[string]map[string]*Facts `json:"models"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	models := map[string]model{}
	for id := range file.Models {
		models[id] = model{}
	}
	for id, properties := range file.Models {
		for name, facts := range properties {
			if err := facts.link(models); err != nil {
				return nil, fmt.Errorf("%s.%s: %w", id, name, err)
			}
			models[id][strings.ToLower(name)] = facts
			if facts.Client != "" {
				models[id][strings.ToLower(facts.Client)] = facts
			}
		}
	}
	types := map[string]*Type{}
	for kind, t := range file.Types {
		root, ok := models[t.Model]
		if !ok {
			return nil, fmt.Errorf("%s: there is no model %s", kind, t.Model)
		}
		for parameter, facts := range t.Names {
			if err := facts.link(models); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", kind, parameter, err)
			}
		}
		types[strings.ToLower(kind)] = &Type{
			Package: t.Package, Version: file.Packages[t.Package], APIVersion: t.APIVersion, Names: t.Names, Query: t.Query, model: root,
		}
	}
	for kind, properties := range later {
		for path, values := range properties {
			facts := types[strings.ToLower(kind)].At(path)
			facts.Enum = append(values, facts.Enum...)
		}
	}
	for kind, paths := range eased {
		for _, path := range paths {
			types[strings.ToLower(kind)].At(path).Required = false
		}
	}
	return types, nil
}

// link finds the model of a property and compiles its pattern, and those of its elements.
func (f *Facts) link(models map[string]model) error {
	if f.Pattern != "" {
		var err error
		if f.pattern, err = regexp.Compile(f.Pattern); err != nil {
			return err
		}
	}
	if f.Model != "" {
		var ok bool
		if f.model, ok = models[f.Model]; !ok {
			return fmt.Errorf("there is no model %s", f.Model)
		}
	}
	for _, inner := range []*Facts{f.Items, f.Values} {
		if inner != nil {
			if err := inner.link(models); err != nil {
				return err
			}
		}
	}
	return nil
}
