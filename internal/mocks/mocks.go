// Package mocks runs a project's program against the Go SDK's mocks and records what it registers.
// The configuration comes from the project's own files, so a unit test sees the same as
// `pulumi up -s <stack>`.
package mocks

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/policy"
	"github.com/gridos/sharedinfra/stacks"
)

// Run describes one run of a program.
type Run struct {
	Project stacks.Project
	// Root is the repository's root, relative to the test.
	Root string
	// Stack is dev, test or prod.
	Stack string
	// Config overrides the files' values; keys have no namespace.
	Config map[string]string
	// Secrets are the keys of Config that were set with --secret.
	Secrets []string
	// Stacks are the outputs of the other stacks, by project. A project that is missing was never
	// brought up.
	Stacks map[string]map[string]any
	// Computed adds what a resource's provider would compute, by resource type.
	Computed map[string]map[string]any
	// Functions answer the functions of providers, by token.
	Functions map[string]map[string]any
	// Failing are the errors of functions of providers, by token.
	Failing map[string]error
	// Preview runs the program as a preview does.
	Preview bool
}

// Resource is a resource that the program registered.
type Resource struct {
	Type, Name string
	Inputs     resource.PropertyMap
	Protect    bool
	// Parent is the URN of the resource's parent.
	Parent string
	// IgnoreChanges are the property paths whose changes are ignored.
	IgnoreChanges []string
	// DependsOn are URNs.
	DependsOn []string
	// Aliases are the names that the resource had in earlier versions.
	Aliases []string

	options options
	urn     string
	// references are the URNs of the resources that a property was made of.
	references map[string][]string
}

// RetainOnDelete says that Pulumi does not ask the provider to delete the resource.
func (r Resource) RetainOnDelete() bool { return r.options.RetainOnDelete }

// Version is that of the plugin which a provider asks for, or "" for other resources.
func (r Resource) Version() string { return r.options.Version }

// DeleteTimeout is how long its deletion may take, or "" for the provider's own.
func (r Resource) DeleteTimeout() string { return r.options.DeleteTimeout }

// Recorded is what a program did.
type Recorded struct {
	Resources []Resource
	// Exports are the stack's outputs.
	Exports map[string]pulumi.Input
	// Calls are the arguments of each call of a provider's function, by token.
	Calls map[string][]resource.PropertyMap

	stack string
}

// OfType returns the resources of a type.
func (r *Recorded) OfType(token string) []Resource {
	var found []Resource
	for _, res := range r.Resources {
		if res.Type == token {
			found = append(found, res)
		}
	}
	return found
}

// Violations returns the guardrails that the registered resources break. policy.Guard judges
// nothing under mocks.
func (r *Recorded) Violations() []policy.Violation {
	var found []policy.Violation
	all := make([]policy.Resource, 0, len(r.Resources))
	for _, res := range r.Resources {
		judged := policy.Resource{URN: res.urn, Type: res.Type, Name: res.Name, Properties: res.Inputs, References: res.references}
		if parent := urn.URN(res.Parent); parent.IsValid() {
			judged.ParentType = string(parent.Type())
		}
		found = append(found, policy.Check(judged, r.stack)...)
		all = append(all, judged)
	}
	return append(found, policy.CheckStack(all)...)
}

// Do runs program.
func (r Run) Do(program pulumi.RunFunc) (*Recorded, error) {
	dir := r.Root + "/" + r.Project.Directory
	values, err := projectfile.Config(context.Background(), dir, r.Stack)
	if err != nil {
		return nil, err
	}
	for key, value := range r.Config {
		values[r.Project.Name+":"+key] = value
	}
	m := &monitor{run: r, recorded: &Recorded{stack: r.Stack, Calls: map[string][]resource.PropertyMap{}}}
	err = pulumi.RunErr(func(ctx *pulumi.Context) error {
		defer func() { m.recorded.Exports = maps.Clone(ctx.GetCurrentExportMap()) }()
		return program(ctx)
	}, pulumi.WithMocks(r.Project.Name, r.Stack, m), func(info *pulumi.RunInfo) {
		info.Config = values
		for _, key := range r.Secrets {
			info.ConfigSecretKeys = append(info.ConfigSecretKeys, r.Project.Name+":"+key)
		}
		info.DryRun = r.Preview
		info.Organization = "organization"
	}, config.Strict)
	if err == nil && m.completed != m.components+1 { // and the stack
		err = fmt.Errorf("%d components are registered, and %d have called RegisterResourceOutputs", m.components, m.completed-1)
	}
	return m.recorded, err
}

type monitor struct {
	run                   Run
	mu                    sync.Mutex
	recorded              *Recorded
	components, completed int
}

// RegisterResourceOutputs is called when a component, or the stack, has all its resources.
func (m *monitor) RegisterResourceOutputs() (*emptypb.Empty, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.completed++
	return &emptypb.Empty{}, nil
}

// NewResource records the registration and answers with the inputs and the values that the provider
// would compute.
func (m *monitor) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	if args.TypeToken == "pulumi:pulumi:StackReference" {
		return args.Name, m.reference(args.Name), nil
	}
	recorded := Resource{Type: args.TypeToken, Name: args.Name, Inputs: args.Inputs}
	if rpc := args.RegisterRPC; rpc != nil {
		recorded.Protect, recorded.Parent = rpc.GetProtect(), rpc.GetParent()
		recorded.IgnoreChanges, recorded.DependsOn = rpc.GetIgnoreChanges(), rpc.GetDependencies()
		for _, alias := range rpc.GetAliases() {
			recorded.Aliases = append(recorded.Aliases, alias.GetSpec().GetName())
		}
		recorded.options = optionsOf(rpc)
		recorded.references = map[string][]string{}
		for key, made := range rpc.GetPropertyDependencies() {
			recorded.references[key] = made.GetUrns()
		}
	}
	recorded.urn = m.urnOf(recorded)
	m.mu.Lock()
	m.recorded.Resources = append(m.recorded.Resources, recorded)
	if !args.Custom {
		m.components++
	}
	m.mu.Unlock()

	outputs := args.Inputs.Copy()
	if _, set := outputs["name"]; !set && !m.run.Preview { // Azure answers with the name in a property of its own.
		outputs["name"] = resource.NewStringProperty(args.Name + "-name")
	}
	for key, value := range m.run.Computed[args.TypeToken] {
		if suffix, ok := value.(OwnName); ok {
			value = args.Name + string(suffix)
		}
		outputs[resource.PropertyKey(key)] = resource.NewPropertyValue(value)
	}
	return args.Name + "-id", outputs, nil
}

// urnOf is the URN that the SDK's mocks answer the registration with.
func (m *monitor) urnOf(r Resource) string {
	var parent tokens.Type
	if p := urn.URN(r.Parent); p.IsValid() && p.QualifiedType() != tokens.RootStackType {
		parent = p.QualifiedType()
	}
	return string(urn.New(tokens.QName(m.run.Stack), tokens.PackageName(m.run.Project.Name), parent, tokens.Type(r.Type), r.Name))
}

func (m *monitor) reference(name string) resource.PropertyMap {
	project := strings.Split(name, "/")[1]
	outputs := resource.PropertyMap{}
	for key, value := range m.run.Stacks[project] {
		if secret, ok := value.(Secret); ok {
			outputs[resource.PropertyKey(key)] = resource.MakeSecret(resource.NewStringProperty(string(secret)))
			continue
		}
		outputs[resource.PropertyKey(key)] = resource.NewPropertyValue(value)
	}
	return resource.PropertyMap{
		"name":    resource.NewStringProperty(name),
		"outputs": resource.NewObjectProperty(outputs),
	}
}

// OwnName is a computed text that differs between resources of one type: the resource's name with a
// suffix.
type OwnName string

// Secret is a secret output of another stack.
type Secret string

// Call answers a function of a provider.
func (m *monitor) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	if args.Token == "pulumi:pulumi:readStackOutputs" {
		return m.reference(args.Args["name"].StringValue()), nil
	}
	m.mu.Lock()
	m.recorded.Calls[args.Token] = append(m.recorded.Calls[args.Token], args.Args)
	m.mu.Unlock()
	if err := m.run.Failing[args.Token]; err != nil {
		return nil, err
	}
	answer := resource.PropertyMap{}
	for key, value := range m.run.Functions[args.Token] {
		answer[resource.PropertyKey(key)] = resource.NewPropertyValue(value)
	}
	return answer, nil
}

// InfraOutputs are plausible outputs of gridos-infra.
func InfraOutputs() map[string]any {
	return fill(stacks.OutputsOf[stacks.InfraOutputs](), map[string]any{
		"egressAddresses": []any{"203.0.113.1"}, "metricsWriteUrl": "", "metricsClientId": "",
	})
}

// BootstrapOutputs are plausible outputs of gridos-bootstrap.
func BootstrapOutputs() map[string]any {
	return fill(stacks.OutputsOf[stacks.BootstrapOutputs](), nil)
}

// AppsOutputs are plausible outputs of gridos-apps.
func AppsOutputs() map[string]any {
	return fill(stacks.OutputsOf[stacks.AppsOutputs](), map[string]any{"applications": []any{"gridos-dev"}})
}

func fill(outputs []stacks.Output, values map[string]any) map[string]any {
	filled := map[string]any{"contractVersion": float64(stacks.ContractVersion)}
	for _, o := range outputs {
		switch value, ok := values[o.Key]; {
		case ok:
			filled[o.Key] = value
		case o.Key == "contractVersion":
		case o.Secret:
			filled[o.Key] = Secret("the secret " + o.Key)
		case o.Type == reflect.TypeFor[[]string]():
			filled[o.Key] = []any{"one of the " + o.Key}
		default:
			filled[o.Key] = "the " + o.Key
		}
	}
	return filled
}

// At is the value at a path of objects, or nil where there is none.
func At(object map[string]any, path ...string) any {
	var value any = object
	for _, key := range path {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

// PropertyAt is the value at a path of objects, which may be secrets or outputs, or null where
// there is none.
func PropertyAt(inputs resource.PropertyMap, path ...string) resource.PropertyValue {
	value := resource.NewProperty(inputs)
	for _, key := range path {
		for value.IsSecret() || value.IsOutput() {
			if value.IsSecret() {
				value = value.SecretValue().Element
			} else {
				value = value.OutputValue().Element
			}
		}
		if !value.IsObject() {
			return resource.NewNullProperty()
		}
		value = value.ObjectValue()[resource.PropertyKey(key)]
	}
	return value
}
