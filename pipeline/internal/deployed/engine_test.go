package deployed_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gridos/sharedinfra/stacks"
)

// engine is a Pulumi CLI for the test: it sends the events of previews, keeps the values that it
// encrypts, and records its commands.
type engine struct {
	// events are those of a preview, and later those of one after the first stack was updated, by
	// project.
	events, later map[string][]apitype.EngineEvent
	// updated are the projects that were updated, and commands all commands with their projects.
	updated, commands []string
	// failing is the project whose previews fail after all their events, and lazy is a CLI that
	// encrypts nothing.
	failing string
	lazy    bool
	// refuses are what the CLI says to commands that contain a text, and during happens in each
	// preview.
	refuses map[string]string
	during  func()
	// handed is what previews were handed of the stacks before them, by project.
	handed map[string]string

	secrets []string
}

func (*engine) Version() semver.Version { return semver.MustParse("3.246.0") }

func (e *engine) Run(ctx context.Context, dir string, stdin io.Reader, _, _ []io.Writer, environment []string, args ...string) (string, string, int, error) {
	project := projectIn(dir)
	command := project + ": " + strings.Join(args, " ")
	e.commands = append(e.commands, command)
	for _, variable := range environment {
		if file, ok := strings.CutPrefix(variable, stacks.PlannedVariable+"="); ok && args[0] == "preview" && e.handed != nil {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err.Error(), 255, err
			}
			e.handed[project] = string(text)
		}
	}
	text, err := e.run(ctx, project, stdin, args)
	for part, said := range e.refuses {
		if strings.Contains(command, part) {
			err = errors.Join(err, errors.New(said))
		}
	}
	if err != nil {
		return "", err.Error(), 255, err
	}
	return text, "", 0, nil
}

func (e *engine) run(ctx context.Context, project string, stdin io.Reader, args []string) (string, error) {
	switch {
	case args[0] == "preview", args[0] == "refresh":
		events := e.events[project]
		if later, ok := e.later[project]; ok && len(e.updated) > 0 {
			events = later
		}
		if e.during != nil {
			e.during()
		}
		err := tell(ctx, flag(args, "--event-log"), events)
		if project == e.failing {
			err = errors.Join(err, errors.New("broken on purpose"))
		}
		return "", err
	case args[0] == "up":
		e.updated = append(e.updated, project)
		return "", nil
	case args[0] == "config" && args[1] == "set" && e.lazy:
		return "", nil
	case args[0] == "config" && args[1] == "set":
		text, err := io.ReadAll(stdin)
		e.secrets = append(e.secrets, string(text))
		name := fmt.Sprintf("v1:%s:%d", flag(args, "--stack"), len(e.secrets)-1)
		return "", errors.Join(err, edit(flag(args, "--config-file"), func(values map[string]any) {
			values[project+":"+args[2]] = map[string]any{"secure": name}
		}))
	case args[0] == "config" && args[1] == "get":
		var found string
		err := edit(flag(args, "--config-file"), func(values map[string]any) {
			value, _ := values[project+":"+args[2]].(map[string]any)
			for i, text := range e.secrets {
				if value["secure"] == fmt.Sprintf("v1:%s:%d", flag(args, "--stack"), i) {
					found = text
				}
			}
		})
		if found == "" {
			err = errors.Join(err, errors.New("this stack's secrets provider has not encrypted it"))
		}
		return found + "\n", err
	case slices.Contains(args, "export"):
		return `{"version": 3, "deployment": {}}`, nil
	case slices.Contains(args, "history"):
		return `[{"kind": "update", "result": "succeeded", "resourceChanges": {"same": 1}}]`, nil
	default:
		return "{}", nil
	}
}

// flag returns the value of a flag.
func flag(args []string, name string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, name+"="); ok {
			return value
		}
		if arg == name {
			return args[i+1]
		}
	}
	return ""
}

// tell sends events to the address where the Automation API listens, and then says that there are
// no more.
func tell(ctx context.Context, address string, events []apitype.EngineEvent) error {
	connection, err := grpc.NewClient(strings.TrimPrefix(address, "tcp://"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig()) // else each of thousands of connections asks the DNS server
	if err != nil {
		return err
	}
	defer connection.Close()
	stream, err := pulumirpc.NewEventsClient(connection).StreamEvents(ctx)
	if err != nil {
		return err
	}
	for _, event := range slices.Concat(events, []apitype.EngineEvent{{SummaryEvent: &apitype.SummaryEvent{}}}) {
		text, err := json.Marshal(event)
		if err != nil {
			return err
		}
		if err := stream.Send(&pulumirpc.EventRequest{Event: string(text)}); err != nil {
			return err
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

// edit changes the configuration in a stack's file.
func edit(file string, do func(values map[string]any)) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	content := map[string]map[string]any{}
	if err := yaml.Unmarshal(text, &content); err != nil {
		return err
	}
	do(content["config"])
	if text, err = yaml.Marshal(content); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// projects makes a folder with the four projects.
func projects(t *testing.T) string {
	t.Helper()
	repository := t.TempDir()
	for _, p := range stacks.Projects() {
		work := filepath.Join(repository, p.Directory)
		require.NoError(t, os.MkdirAll(work, 0o700))
		text := "name: " + p.Name + "\nruntime: go\n"
		require.NoError(t, os.WriteFile(filepath.Join(work, "Pulumi.yaml"), []byte(text), 0o600))
	}
	return repository
}

func projectIn(dir string) string {
	for _, p := range stacks.Projects() {
		if p.Directory == filepath.Base(dir) {
			return p.Name
		}
	}
	return stacks.Published.Name
}
