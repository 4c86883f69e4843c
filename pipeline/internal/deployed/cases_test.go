package deployed_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"

	"github.com/gridos/sharedinfra/stacks"
)

// steps are what the engine would do, by project.
type steps map[string][]apitype.StepEventMetadata

const (
	configMap  = "kubernetes:core/v1:ConfigMap"
	providerOf = "pulumi:providers:kubernetes"
	unknown    = plugin.UnknownStringValue
)

// types are those of resources in the cases: the last two are dangerous to lose.
var types = []string{
	configMap, "azure-native:insights:Workbook", "kubernetes:core/v1:Service", "azure-native:network:NetworkSecurityGroup",
	"azure-native:network:Subnet", "azure-native:keyvault:Vault",
}

func secret() map[string]any { return map[string]any{sig.Key: sig.Secret, "ciphertext": "[secret]"} }

func urnOf(project, typ, name string) string {
	return "urn:pulumi:prod::" + project + "::" + typ + "::" + name
}

// state is one side of a step.
func state(project, typ, name string, inputs map[string]any) *apitype.StepEventStateMetadata {
	return &apitype.StepEventStateMetadata{
		Type: typ, URN: urnOf(project, typ, name), Custom: true, Inputs: inputs, Outputs: maps.Clone(inputs),
		Provider: urnOf(project, providerOf, "cluster") + "::an-id",
	}
}

// inputsOf returns inputs for a resource. Their values do not matter: the numbers 0 to 9, and few
// words.
func inputsOf(random *rand.Rand) map[string]any {
	return map[string]any{
		"count": float64(random.IntN(10)), "enabled": random.IntN(2) == 0, "location": word(random), "password": secret(),
		"subnetId": "/subnets/" + word(random), "empty": []any{},
		"tags": map[string]any{"owner": word(random), "a.b/c": word(random)},
		"list": []any{map[string]any{"name": word(random), "key": secret()}, word(random)},
	}
}

func word(random *rand.Rand) string {
	return []string{"francecentral", "westeurope", "Standard", "Premium", "Disabled", "Enabled"}[random.IntN(6)]
}

// different is another word or number than a value.
func different(v any) any {
	switch was := v.(type) {
	case string:
		return was + "-other"
	case float64:
		return was + 1
	default:
		return "other"
	}
}

// generate makes the steps of an environment: each stack has a provider, and resources with each
// operation. With unknowns, some values are known only when others were updated.
func generate(random *rand.Rand, unknowns bool) steps {
	all := steps{}
	for _, p := range stacks.Projects() {
		config := map[string]any{"version": fmt.Sprintf("4.%d.0", random.IntN(30)), "namespace": word(random), "kubeconfig": secret()}
		of := []apitype.StepEventMetadata{step(p.Name, providerOf, "cluster", apitype.OpSame, config, config, nil)}
		for i := range 2 + random.IntN(3) {
			inputs := inputsOf(random)
			of = append(of, step(p.Name, configMap, fmt.Sprint("same", i), apitype.OpSame, inputs, inputs, nil))
		}
		for i := range 1 + random.IntN(2) {
			typ, made := types[random.IntN(len(types))], inputsOf(random)
			if unknowns {
				made["subnetId"] = unknown
			}
			of = append(of, step(p.Name, typ, fmt.Sprint("new", i), apitype.OpCreate, nil, made, nil))
		}
		for i := range 1 + random.IntN(2) {
			typ, old := types[random.IntN(len(types))], inputsOf(random)
			made := clone(old)
			made["count"] = different(old["count"])
			differences := map[string]apitype.PropertyDiff{"count": {Kind: apitype.DiffUpdate, InputDiff: true}}
			if random.IntN(2) == 0 {
				differences["list[0].key"] = apitype.PropertyDiff{Kind: apitype.DiffUpdate, InputDiff: true}
			}
			if unknowns {
				made["subnetId"] = unknown
				differences["subnetId"] = apitype.PropertyDiff{Kind: apitype.DiffUpdate, InputDiff: true}
			}
			of = append(of, step(p.Name, typ, fmt.Sprint("changed", i), apitype.OpUpdate, old, made, differences))
		}
		for i := range 1 + random.IntN(2) {
			typ, old := types[random.IntN(len(types))], inputsOf(random)
			made := clone(old)
			made["location"] = different(old["location"])
			of = append(of, replacement(p.Name, typ, fmt.Sprint("replaced", i), old, made, "location")...)
		}
		for i := range 1 + random.IntN(2) {
			of = append(of, step(p.Name, types[random.IntN(len(types))], fmt.Sprint("gone", i), apitype.OpDelete, inputsOf(random), nil, nil))
		}
		all[p.Name] = of
	}
	return all
}

func step(
	project, typ, name string, op apitype.OpType, old, made map[string]any, differences map[string]apitype.PropertyDiff,
) apitype.StepEventMetadata {
	s := apitype.StepEventMetadata{Op: op, URN: urnOf(project, typ, name), Type: typ, DetailedDiff: differences}
	if old != nil {
		s.Old = state(project, typ, name, old)
	}
	if made != nil {
		s.New = state(project, typ, name, made)
	}
	return s
}

// replacement are the three steps of one, because of a property.
func replacement(project, typ, name string, old, made map[string]any, because string) []apitype.StepEventMetadata {
	differences := map[string]apitype.PropertyDiff{because: {Kind: apitype.DiffUpdateReplace, InputDiff: true}}
	made3 := []apitype.StepEventMetadata{
		step(project, typ, name, apitype.OpCreateReplacement, old, made, differences),
		step(project, typ, name, apitype.OpReplace, old, made, differences),
		step(project, typ, name, apitype.OpDeleteReplaced, old, nil, nil),
	}
	made3[0].Keys, made3[1].Keys = []string{because}, []string{because}
	return made3
}

func clone[T any](v T) T {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var copied T
	if err := json.Unmarshal(text, &copied); err != nil {
		panic(err)
	}
	return copied
}

// events are those of previews, in another order each time: the engine works on many resources at
// once.
func (s steps) events(random *rand.Rand) map[string][]apitype.EngineEvent {
	all := map[string][]apitype.EngineEvent{}
	for project, of := range s {
		for _, m := range of {
			all[project] = append(all[project], apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: m, Planning: true}})
		}
		random.Shuffle(len(all[project]), func(i, j int) { all[project][i], all[project][j] = all[project][j], all[project][i] })
	}
	return all
}

// any returns a step of one of the projects that has an operation.
func (s steps) any(random *rand.Rand, op apitype.OpType, projects ...string) (project string, at int) {
	project = projects[random.IntN(len(projects))]
	var found []int
	for i, m := range s[project] {
		if m.Op == op && m.Type != providerOf {
			found = append(found, i)
		}
	}
	return project, found[random.IntN(len(found))]
}

func (s steps) provider(random *rand.Rand) map[string]any {
	of := s[everywhere[random.IntN(len(everywhere))]]
	i := slices.IndexFunc(of, func(m apitype.StepEventMetadata) bool { return m.Type == providerOf })
	return of[i].New.Inputs
}

// settle makes unknown values known: half of them stay as they were, and those are then no change.
func (s steps) settle(random *rand.Rand) steps {
	settled := clone(s)
	for project, of := range settled {
		for i, m := range of {
			if m.New == nil || m.New.Inputs["subnetId"] != unknown {
				continue
			}
			m.New.Inputs["subnetId"] = "/subnets/" + word(random)
			if m.Op == apitype.OpUpdate && random.IntN(2) == 0 {
				m.New.Inputs["subnetId"] = m.Old.Inputs["subnetId"]
				delete(m.DetailedDiff, "subnetId")
			}
			of[i] = m
		}
		settled[project] = of
	}
	return settled
}

var everywhere = []string{stacks.Infra.Name, stacks.Bootstrap.Name, stacks.Apps.Name, stacks.Published.Name}
