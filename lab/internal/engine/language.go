package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

// languageHost answers the CLI where the Automation API brings no host of its own, which it does
// only for programs in this process: it runs the program at a path. Without one it is for commands
// that run no program, such as `pulumi import`; the CLI still asks them for the program's plugins.
type languageHost struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	program string
}

func (languageHost) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "1.0.0"}, nil
}

func (languageHost) GetRequiredPackages(context.Context, *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

// Run runs the program as Pulumi's own host for Go does: the environment tells the program where
// the engine is, and what its configuration is (Pulumi 3.246, sdk/go/pulumi/run.go, getEnvInfo).
func (h languageHost) Run(ctx context.Context, request *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	if h.program == "" || len(request.GetArgs()) == 0 {
		return nil, errors.New("this host has no program, or does not know the engine's address")
	}
	config, err := json.Marshal(request.GetConfig())
	if err != nil {
		return nil, err
	}
	secretKeys, err := json.Marshal(request.GetConfigSecretKeys())
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	command := exec.CommandContext(ctx, h.program)
	command.Stdout, command.Stderr = &said, &said
	command.Env = append(os.Environ(),
		pulumi.EnvOrganization+"="+request.GetOrganization(),
		pulumi.EnvProject+"="+request.GetProject(),
		pulumi.EnvStack+"="+request.GetStack(),
		pulumi.EnvConfig+"="+string(config),
		pulumi.EnvConfigSecretKeys+"="+string(secretKeys),
		pulumi.EnvDryRun+"="+fmt.Sprint(request.GetDryRun()),
		pulumi.EnvParallel+"="+fmt.Sprint(request.GetParallel()),
		pulumi.EnvMonitor+"="+request.GetMonitorAddress(),
		pulumi.EnvEngine+"="+request.GetArgs()[0], // the CLI puts it there for a host that it did not start
	)
	if err := command.Run(); err != nil {
		text := fmt.Sprintf("%s: %v\n%s", filepath.Base(h.program), err, said.String())
		return &pulumirpc.RunResponse{Error: strings.TrimSpace(text)}, nil
	}
	return &pulumirpc.RunResponse{}, nil
}

// servedHost is a language host that listens.
type servedHost struct {
	address string
	stop    func() error
}

// serveLanguage serves a language host until stop is called; name is for errors.
func serveLanguage(ctx context.Context, name string, host languageHost) (*servedHost, error) {
	listener, err := loopback.Listen(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer()
	pulumirpc.RegisterLanguageRuntimeServer(server, host)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return &servedHost{listener.Address(), func() error {
		server.Stop()
		return <-served
	}}, nil
}

// attach writes the project's file of a folder into another one, which may be the same, so that the
// CLI asks this host there.
func (h *servedHost) attach(from, to string) error {
	const file = "Pulumi.yaml"
	project, err := projectfile.Read(filepath.Join(from, file))
	if err != nil {
		return err
	}
	project["runtime"] = map[string]any{"name": "client", "options": map[string]any{"address": h.address}}
	return writeSettings(filepath.Join(to, file), project)
}
