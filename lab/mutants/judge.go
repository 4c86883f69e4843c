package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/providers"
)

// touched matches, in the names of properties and types, the words of changes that must not pass
// for plain. The patterns are wider than those of package changes, and independent of it.
var touched = map[string]*regexp.Regexp{
	"access": regexp.MustCompile(`(?i)rbac|aad|auth|admin|account|identit|\brole|principal|policies|permission|token|credential|issuer|` +
		`subject|audience|accessPolicies|enabledFor|whitelist|anonymous|exec\.enabled|pod-security|conditions|scope`),
	"encryption": regexp.MustCompile(`(?i)encrypt|tls|ssl|https|certificate|secret|password|insecure`),
	"exposure": regexp.MustCompile(`(?i)public|private|exposed|networkAcls|networkRule|firewall|waf|ipRules|ranges|securityRules|` +
		`networkPolic|internal|loadBalancer|listener|redirect|endpoint|nsg|` +
		`policySettings|managedRule|customRules|ingressGateways|sourceRepos|destination`),
	"logs":     regexp.MustCompile(`(?i)\blogs?\b|DiagnosticSetting|metrics\[|monitor|defender|retentionInDays|dailyQuota|audit`),
	"backup":   regexp.MustCompile(`(?i)backup|softDelete|highAvailability|geoRedundant`),
	"deletion": regexp.MustCompile(`(?i)delete|purge|prune|protect|lock|finalizer|retain|keep|crds`),
}

// devoted are the types that serve one such purpose only.
var devoted = map[string]string{
	"AppProject": "access", "ClusterSecretStore": "access", "FederatedIdentityCredential": "access", "RoleAssignment": "access",
	"PolicyAssignment": "access", "NetworkSecurityGroup": "exposure", "WebApplicationFirewallPolicy": "exposure",
	"DiagnosticSetting": "logs", "ManagementLockByScope": "deletion",
}

// neutral matches paths with such words that serve none of these purposes: names, and auxiliary
// settings.
var neutral = regexp.MustCompile(`(?i)(^|\.)(name|lockName|policyAssignmentName|privateDnsZoneGroupName)$|(^|\.)tags|` +
	`description$|resources\.(requests|limits)|topologySpread|[pP]odDisruptionBudget|\.pdb\.|` +
	`replica|prometheus\.io|prometheusAnnotations|metrics\.(enabled|service)|displayName|notes$|Surge$`)

// notTLS splits a name that only seems to be about HTTPS: backendHttpSettings.
var notTLS = strings.NewReplacer("HttpSettings", "Http Settings")

// created and deleted are the paths of a resource that only the mutant has, or that it lacks. If a
// resource only has another name in the program, it is both, so that its type counts and not the
// words of the name.
const created, deleted = "(created)", "(deleted)"

// registered is a resource of a golden file.
type registered struct {
	Type    string         `yaml:"type"`
	Name    string         `yaml:"name"`
	Inputs  map[string]any `yaml:"inputs"`
	Options map[string]any `yaml:"options"`
}

func (r registered) urn() string { return "urn:pulumi:dev::p::" + r.Type + "::" + r.Name }

// registrations reads the registrations of a program in each environment.
func registrations(directory string) (map[string][]registered, error) {
	read := map[string][]registered{}
	for _, environment := range naming.Environments() {
		text, err := os.ReadFile(filepath.Join(directory, environment+".yaml"))
		if os.IsNotExist(err) {
			continue // the program does not run as this mutant
		}
		if err != nil {
			return nil, err
		}
		var all []registered
		if err := yaml.Unmarshal(text, &all); err != nil {
			return nil, fmt.Errorf("%s: %w", directory, err)
		}
		for i := range all {
			all[i].Inputs, _ = numbers(all[i].Inputs).(map[string]any)
		}
		read[environment] = all
	}
	return read, nil
}

// judgement is the result of a report of changes and of the simulated Azure about a mutant.
type judgement struct {
	// Differs says that the golden files show the mutant.
	Differs bool
	// Touches are the kinds of its changes, sorted.
	Touches []string
	// Plain are the changes of these kinds that the report calls plain.
	Plain []string
	// Refused is the refusal of the simulated Azure.
	Refused string
}

// judge compares the registrations of the programs as a mutant with the normal ones.
func judge(ctx context.Context, before, after map[string][]registered) (judgement, error) {
	var j judgement
	kinds := map[string]bool{}
	for environment, old := range before {
		made, ok := after[environment]
		if !ok {
			j.Differs = true
			continue
		}
		events, paths := difference(old, made)
		if len(paths) == 0 {
			continue
		}
		j.Differs = true
		var collector changes.Collector
		for _, e := range events {
			collector.See(e)
		}
		levels := map[string]changes.Level{}
		for _, c := range collector.Project("p", nil).Changes {
			levels[c.URN] = c.Level
		}
		for urn, of := range paths {
			for _, path := range of {
				found := kindsOf(urn + " " + path)
				for _, kind := range found {
					kinds[kind] = true
				}
				if level, known := levels[urn]; known && level == changes.Plain && len(found) > 0 {
					j.Plain = append(j.Plain, urn[strings.Index(urn, "::p::")+5:]+" "+path)
				}
			}
		}
		// If Azure also refuses an unchanged resource, the mutant is not the cause: the mocks
		// return few outputs.
		refused, err := refusals(ctx, slices.DeleteFunc(slices.Clone(made), func(r registered) bool { return paths[r.urn()] == nil }))
		if err != nil {
			return j, err
		}
		if len(refused) == 0 || j.Refused != "" {
			continue
		}
		accepted, err := refusals(ctx, old)
		if err != nil {
			return j, err
		}
		if i := slices.IndexFunc(refused, func(r string) bool { return !slices.Contains(accepted, r) }); i >= 0 {
			j.Refused = refused[i]
		}
	}
	j.Touches = slices.Sorted(maps.Keys(kinds))
	j.Plain = slices.Compact(slices.Sorted(slices.Values(j.Plain)))
	return j, nil
}

func kindsOf(text string) []string {
	path := text[strings.LastIndex(text, " ")+1:]
	if neutral.MatchString(path) {
		return nil
	}
	path = notTLS.Replace(path)
	typ := text[strings.Index(text, "::p::")+5 : strings.LastIndex(text, "::")]
	var found []string
	for kind, words := range touched {
		if words.MatchString(path) && path != created && path != deleted || devoted[typ[strings.LastIndex(typ, ":")+1:]] == kind {
			found = append(found, kind)
		}
	}
	return found
}

// difference returns the events that the engine would send for the change from one list of
// resources to another, and the paths that differ.
func difference(old, made []registered) ([]apitype.EngineEvent, map[string][]string) {
	paths := map[string][]string{}
	var events []apitype.EngineEvent
	event := func(op apitype.OpType, r registered, before, after *apitype.StepEventStateMetadata, diff map[string]apitype.PropertyDiff) {
		events = append(events, apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
			Op: op, URN: r.urn(), Type: r.Type, Old: before, New: after, DetailedDiff: diff,
		}}})
	}
	state := func(r registered) *apitype.StepEventStateMetadata {
		protect, _ := r.Options["protect"].(bool)
		retain, _ := r.Options["retainOnDelete"].(bool)
		return &apitype.StepEventStateMetadata{
			Type: r.Type, URN: r.urn(), Custom: !strings.HasPrefix(r.Type, "gridos"), Inputs: r.Inputs,
			Protect: protect, RetainOnDelete: retain,
		}
	}
	byURN := map[string]registered{}
	for _, r := range old {
		byURN[r.urn()] = r
	}
	for _, after := range made {
		before, ok := byURN[after.urn()]
		delete(byURN, after.urn())
		if !ok {
			event(apitype.OpCreate, after, nil, state(after), nil)
			paths[after.urn()] = []string{created}
			continue
		}
		diff := map[string]apitype.PropertyDiff{}
		for _, path := range differing(before.Inputs, after.Inputs, resource.PropertyPath{}) {
			diff[path] = apitype.PropertyDiff{Kind: apitype.DiffUpdate, InputDiff: true}
			paths[after.urn()] = append(paths[after.urn()], path)
		}
		if !reflect.DeepEqual(before.Options, after.Options) {
			for _, path := range differing(before.Options, after.Options, resource.PropertyPath{}) {
				paths[after.urn()] = append(paths[after.urn()], "["+path+"]")
			}
		}
		if len(diff) > 0 && strings.HasPrefix(after.Type, "random:") { // every changed property of a password replaces it
			event(apitype.OpReplace, after, state(before), state(after), diff)
		} else if len(diff) > 0 {
			event(apitype.OpUpdate, after, state(before), state(after), diff)
		} else {
			event(apitype.OpSame, after, state(before), state(after), nil)
		}
	}
	for _, gone := range byURN {
		event(apitype.OpDelete, gone, state(gone), nil, nil)
		paths[gone.urn()] = []string{deleted}
	}
	return events, paths
}

// differing returns the paths of the values that differ, as deep as possible.
func differing(before, after any, at resource.PropertyPath) []string {
	if reflect.DeepEqual(before, after) {
		return nil
	}
	var found []string
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			keys := map[string]bool{}
			for key := range b {
				keys[key] = true
			}
			for key := range a {
				keys[key] = true
			}
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				found = append(found, differing(b[key], a[key], append(slices.Clone(at), key))...)
			}
			return found
		}
	case []any:
		if a, ok := after.([]any); ok {
			for i := range max(len(a), len(b)) {
				var old, made any
				if i < len(b) {
					old = b[i]
				}
				if i < len(a) {
					made = a[i]
				}
				found = append(found, differing(old, made, append(slices.Clone(at), i))...)
			}
			return found
		}
	}
	return []string{at.String()}
}

// refusals returns the refusals of the simulated Azure for the resources, each by itself.
func refusals(ctx context.Context, all []registered) ([]string, error) {
	cloud, err := azure.Open(azure.Options{})
	if err != nil {
		return nil, err
	}
	provider := cloud.Provider()
	var found []string
	for _, r := range all {
		if !strings.HasPrefix(r.Type, "azure-native:") {
			continue
		}
		inputs, err := providers.Marshal(resource.NewPropertyMapFromMap(r.Inputs))
		if err != nil {
			return nil, err
		}
		response, err := provider.Check(ctx, &pulumirpc.CheckRequest{Urn: r.urn(), News: inputs})
		if err != nil {
			found = append(found, err.Error())
			continue
		}
		for _, failure := range response.GetFailures() {
			found = append(found, failure.GetReason())
		}
	}
	return found, nil
}

// numbers turns YAML's integers into the numbers of properties.
func numbers(value any) any {
	switch v := value.(type) {
	case int:
		return float64(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = numbers(v[i])
		}
		return list
	case map[string]any:
		object := map[string]any{}
		for key := range v {
			object[key] = numbers(v[key])
		}
		return object
	default:
		return v
	}
}
