// Package approved_test plans and deploys with the pipeline's own command, the real engine and a
// backend of files. The programs and the provider of their resources belong to the test.
package approved_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/stacks"
)

const (
	language = "pulumi-language-drill"
	provider = "pulumi-resource-drill"
	thingOf  = "drill:index:Thing"
	// journal names the file to which the provider writes what it does.
	journal = "DRILL_JOURNAL"
)

// TestMain runs the tests. If the binary is started under the name of one of the engine's plugins,
// it serves as that plugin.
func TestMain(m *testing.M) {
	var err error
	switch filepath.Base(os.Args[0]) {
	case language:
		err = serve(func(s *grpc.Server) { pulumirpc.RegisterLanguageRuntimeServer(s, &host{}) })
	case provider:
		err = serve(func(s *grpc.Server) {
			pulumirpc.RegisterResourceProviderServer(s, &things{Base: providers.Base{Package: "drill", Version: "1.0.0"}})
		})
	default:
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// serve answers the engine until the engine ends the process. A plugin prints its port on the first
// line.
func serve(register func(*grpc.Server)) error {
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{Init: func(s *grpc.Server) error {
		register(s)
		return nil
	}})
	if err != nil {
		return err
	}
	fmt.Println(handle.Port)
	return <-handle.Done
}

// host runs the programs of the projects, which do what desired says.
type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
}

func (*host) Handshake(context.Context, *pulumirpc.LanguageHandshakeRequest) (*pulumirpc.LanguageHandshakeResponse, error) {
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (*host) GetRequiredPackages(context.Context, *pulumirpc.GetRequiredPackagesRequest) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

func (*host) GetRequiredPlugins(context.Context, *pulumirpc.GetRequiredPluginsRequest) (*pulumirpc.GetRequiredPluginsResponse, error) {
	return &pulumirpc.GetRequiredPluginsResponse{}, nil
}

func (*host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "1.0.0"}, nil
}

func (*host) Run(ctx context.Context, r *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	program, err := pulumi.NewContext(ctx, pulumi.RunInfo{
		EngineAddr: os.Args[len(os.Args)-1], MonitorAddr: r.GetMonitorAddress(), Config: r.GetConfig(),
		ConfigSecretKeys: r.GetConfigSecretKeys(), Project: r.GetProject(), Stack: r.GetStack(), Parallel: r.GetParallel(),
		DryRun: r.GetDryRun(), Organization: r.GetOrganization(),
	})
	if err != nil {
		return nil, err
	}
	defer program.Close()
	if err := pulumi.RunWithContext(program, func(ctx *pulumi.Context) error { return run(ctx, r.GetInfo().GetProgramDirectory()) }); err != nil {
		return &pulumirpc.RunResponse{Error: err.Error()}, nil
	}
	return &pulumirpc.RunResponse{}, nil
}

// desired is the content of a project's file desired.json: it says what the program does.
type desired struct {
	// Value is the value of the project's thing, and Secret is a secret of it.
	Value  string `json:"value"`
	Secret string `json:"secret"`
	// Moves says that the site of infra's second thing comes from the result of the first one.
	Moves bool `json:"moves"`
	// Chart is the folder of a chart that bootstrap installs into the cluster of a kubeconfig. One
	// value of the chart is Text, another is the result of infra's first thing, and a secret one is
	// the result of bootstrap's own thing.
	Chart      string `json:"chart"`
	Kubeconfig string `json:"kubeconfig"`
	Text       string `json:"text"`
}

// thing is a resource: its result is made of its value, and it is replaced when its site changes.
type thing struct {
	pulumi.CustomResourceState
	Result pulumi.StringOutput `pulumi:"result"`
}

func run(ctx *pulumi.Context, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "desired.json"))
	if err != nil {
		return err
	}
	var want desired
	if err := json.Unmarshal(text, &want); err != nil {
		return err
	}
	var drill pulumi.ProviderResourceState
	if err := ctx.RegisterResource("pulumi:providers:drill", "drill", pulumi.Map{}, &drill, pulumi.Version("1.0.0")); err != nil {
		return err
	}
	made := func(name string, value, site pulumi.Input) (pulumi.StringOutput, error) {
		var t thing
		err := ctx.RegisterResource(thingOf, name, pulumi.Map{
			"value": value, "site": site, "secret": pulumi.ToSecret(pulumi.String(want.Secret)),
		}, &t, pulumi.Provider(&drill))
		return t.Result, err
	}
	result, err := made("first", pulumi.String(want.Value), pulumi.String("here"))
	if err != nil {
		return err
	}
	switch ctx.Project() {
	case stacks.Infra.Name:
		var site pulumi.Input = pulumi.String("here")
		if want.Moves {
			site = result
		}
		if _, err := made("second", result, site); err != nil {
			return err
		}
		return exportInfra(ctx, result)
	case stacks.Bootstrap.Name:
		infra, err := stacks.ReadPublic[stacks.InfraOutputs](ctx, stacks.Infra)
		if err == nil {
			_, err = made("reader", infra.ClusterName, pulumi.String("here"))
		}
		if err == nil && want.Chart != "" {
			err = install(ctx, want, infra.ClusterName, result)
		}
		return err
	default:
		return nil
	}
}

// install installs the chart, as bootstrap does its own.
func install(ctx *pulumi.Context, want desired, infras, own pulumi.StringOutput) error {
	var kubernetes pulumi.ProviderResourceState
	err := ctx.RegisterResource("pulumi:providers:kubernetes", "cluster", pulumi.Map{"kubeconfig": pulumi.String(want.Kubeconfig)}, &kubernetes)
	if err != nil {
		return err
	}
	values := pulumi.Map{"text": pulumi.String(want.Text), "result": infras, "secrets": pulumi.Map{"own": pulumi.ToSecret(own)}}
	_, err = helm.NewRelease(ctx, "chart", helm.Args{
		Chart: helm.Chart{Name: want.Chart, Version: "1.0.0", TimeoutSeconds: 60}, Name: "drill", Namespace: pulumi.String("default"),
		Values: values,
	}, pulumi.Provider(&kubernetes))
	return err
}

// exportInfra exports all outputs of the contract; the name of the cluster is the result of a
// thing.
func exportInfra(ctx *pulumi.Context, clusterName pulumi.StringOutput) error {
	var outputs stacks.InfraOutputs
	fields := reflect.ValueOf(&outputs).Elem()
	for _, f := range reflect.VisibleFields(fields.Type()) {
		field := fields.FieldByIndex(f.Index)
		switch field.Interface().(type) {
		case pulumi.StringOutput:
			field.Set(reflect.ValueOf(pulumi.String(f.Name).ToStringOutput()))
		case pulumi.IntOutput:
			field.Set(reflect.ValueOf(pulumi.Int(1).ToIntOutput()))
		case pulumi.StringArrayOutput:
			field.Set(reflect.ValueOf(pulumi.StringArray{}.ToStringArrayOutput()))
		}
	}
	outputs.ClusterName = clusterName
	return stacks.Export(ctx, outputs)
}

// things is the provider of things.
type things struct{ providers.Base }

func (t *things) Check(_ context.Context, r *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: r.GetNews()}, nil
}

// Diff says which inputs differ. An input that is not known yet may equal the old one.
func (t *things) Diff(_ context.Context, r *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	old, made := r.GetOldInputs().AsMap(), r.GetNews().AsMap()
	answer := &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}
	for _, key := range []string{"value", "site", "secret"} {
		if reflect.DeepEqual(old[key], made[key]) {
			continue
		}
		answer.Changes = pulumirpc.DiffResponse_DIFF_SOME
		answer.Diffs = append(answer.Diffs, key)
		if key == "site" && made[key] != plugin.UnknownStringValue {
			answer.Replaces = append(answer.Replaces, key)
		}
	}
	return answer, nil
}

func (t *things) Create(_ context.Context, r *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	state, err := t.do("create", r.GetUrn(), r.GetProperties(), r.GetPreview())
	return &pulumirpc.CreateResponse{Id: "thing", Properties: state}, err
}

func (t *things) Read(_ context.Context, r *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	return &pulumirpc.ReadResponse{Id: r.GetId(), Properties: r.GetProperties(), Inputs: r.GetInputs()}, nil
}

func (t *things) Update(_ context.Context, r *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	state, err := t.do("update", r.GetUrn(), r.GetNews(), r.GetPreview())
	return &pulumirpc.UpdateResponse{Properties: state}, err
}

func (t *things) Delete(_ context.Context, r *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	_, err := t.do("delete", r.GetUrn(), r.GetProperties(), false)
	return &emptypb.Empty{}, err
}

// do returns the state of a thing with its inputs. Its result is known when it is done.
func (t *things) do(verb, urn string, inputs *structpb.Struct, preview bool) (*structpb.Struct, error) {
	state, ok := proto.Clone(inputs).(*structpb.Struct)
	if !ok {
		return nil, errors.New("no inputs")
	}
	if state.Fields == nil {
		state.Fields = map[string]*structpb.Value{}
	}
	if preview {
		state.Fields["result"] = structpb.NewStringValue(plugin.UnknownStringValue)
		return state, nil
	}
	state.Fields["result"] = structpb.NewStringValue("made of " + inputs.GetFields()["value"].GetStringValue())
	file, err := os.OpenFile(os.Getenv(journal), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	u := resource.URN(urn)
	_, err = fmt.Fprintf(file, "%s %s %s\n", verb, u.Project(), u.Name())
	return state, errors.Join(err, file.Close())
}
