package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

// noProgram is a language host for commands that run no program: the CLI still asks a host for the
// plugins of the program. For programs in this process the Automation API brings its own host, but
// not for `pulumi import`.
type noProgram struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
}

func (noProgram) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "1.0.0"}, nil
}

func (noProgram) GetRequiredPackages(context.Context, *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

// importResources runs `pulumi import` with a file that lists the resources.
func importResources(ctx context.Context, s auto.Stack, w *watcher, file string) (err error) {
	listener, err := loopback.Listen(ctx, "the language host of an import", 0)
	if err != nil {
		return err
	}
	host := grpc.NewServer()
	pulumirpc.RegisterLanguageRuntimeServer(host, noProgram{})
	served := make(chan error, 1)
	go func() { served <- host.Serve(listener) }()
	defer func() {
		host.Stop()
		err = errors.Join(err, <-served)
	}()

	work := s.Workspace()
	project, err := work.ProjectSettings(ctx)
	if err != nil {
		return err
	}
	project.Runtime = workspace.NewProjectRuntimeInfo("client", map[string]any{"address": listener.Address()})
	dir, err := os.MkdirTemp(work.WorkDir(), "import-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	text, err := yaml.Marshal(project)
	if err != nil {
		return err
	}
	stack, err := os.ReadFile(projectfile.StackFile(work.WorkDir(), s.Name()))
	if err != nil {
		return err
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), text, 0o600), os.WriteFile(projectfile.StackFile(dir, s.Name()), stack, 0o600),
	); err != nil {
		return err
	}
	// From the next update on, the program decides about protection.
	if _, err := command(ctx, s, w.log, "import", "--cwd", dir, "--file", file, "--yes", "--skip-preview", "--protect=false",
		"--generate-code=false", "--suppress-outputs"); err != nil {
		return fmt.Errorf("import into %s: %w", s.Name(), err)
	}
	return nil
}
