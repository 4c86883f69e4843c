package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apps "github.com/gridos/sharedinfra/apps/program"
	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	infra "github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/nodeagent"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/delivery/manifests"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/lab/proofs/scratch"
	"github.com/gridos/sharedinfra/published"
	"github.com/gridos/sharedinfra/stacks"
)

// asLab makes the test binary behave as the lab.
const asLab = "GRIDOS_LAB_TEST_AS_LAB"

func TestMain(m *testing.M) {
	// The lab starts itself as its background process, and in each container; here "itself" is the test
	// binary.
	lab := func(ctx context.Context) { os.Exit(Run(ctx, os.Args[1:], os.Stdout, os.Stderr)) }
	if os.Getenv(asLab) != "" || (len(os.Args) > 1 && (os.Args[1] == daemon.Command || os.Args[1] == nodeagent.Command)) {
		lab(context.Background())
	}
	testscript.Main(m, map[string]func(){
		"lab": func() { lab(context.Background()) },
		"lab-that-is-interrupted": func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			lab(ctx)
		},
	})
}

// checkout makes a checkout with only the files that the lab reads, and changes into it. At the end
// it takes the checkout's dev down, and then nothing may be left in the system's temporary folder.
// The path has characters that a URL, a shell or a template could misread. The environment has
// variables that would change how the lab's programs work.
func checkout(t *testing.T) string {
	t.Helper()
	dir, temporary := filepath.Join(t.TempDir(), "issue #1, 50%2F ü"), t.TempDir()
	require.NoError(t, os.Mkdir(dir, 0o700))
	t.Setenv("TMPDIR", temporary)
	for name, value := range map[string]string{
		"PULUMI_OPTION_TARGET": "urn:pulumi:none", "PULUMI_OPTION_REFRESH": "true", "PULUMI_CONFIG_PASSPHRASE": "another", "PULUMI_PARALLEL": "1",
		"PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY": "false", "PULUMI_IGNORE_AMBIENT_PLUGINS": "true", "HELM_NAMESPACE": "elsewhere",
		"HELM_REPOSITORY_CONFIG": "/nowhere", "GIT_DIR": "/nowhere", "GIT_CONFIG_PARAMETERS": "'core.bare=true'", "KUBECONFIG": "/nowhere",
		"KUBERNETES_MASTER": "http://127.0.0.1:1", "ARM_SUBSCRIPTION_ID": "another", "HTTPS_PROXY": "http://127.0.0.1:1",
		"HTTP_PROXY": "http://127.0.0.1:1", "ARGOCD_OPTS": "--nothing",
	} {
		t.Setenv(name, value)
	}
	checkoutOf(t, dir)
	t.Cleanup(func() {
		if _, _, err := lab(t, context.Background(), "down"); err != nil {
			t.Errorf("the lab could not be taken down: %v", err)
		}
		left, err := os.ReadDir(temporary)
		require.NoError(t, err)
		assert.Empty(t, left, "the lab leaves nothing among the system's temporary files")
	})
	return dir
}

// repository is this one, seen from the tests' own folder.
const repository = "../.."

// checkoutOf puts only the files that the lab reads into dir, and changes into it.
func checkoutOf(t *testing.T, dir string) {
	t.Helper()
	from, err := filepath.Abs(repository)
	require.NoError(t, err)
	_, err = scratch.Copy(from, dir, naming.Environments()[0])
	require.NoError(t, err)
	t.Chdir(dir)
}

const showSecrets = "--show-secrets"

// lab runs a command of the lab in this process.
func lab(t *testing.T, ctx context.Context, args ...string) (stdout, stderr string, err error) { //nolint:revive // t comes first in tests
	t.Helper()
	var out, progress bytes.Buffer
	command := newCommand()
	command.SetOut(&out)
	command.SetErr(&progress)
	err = cli.Execute(ctx, command, args)
	shown := out.String()
	if slices.Contains(args, showSecrets) {
		shown = "(secrets)\n" // everyone can read the log of a test
	}
	t.Logf("lab %s\n%s%s%v", strings.Join(args, " "), progress.String(), shown, err)
	return out.String(), progress.String(), err
}

// everything is the output of outputs --json. It has no field for a key that is not in the
// contract.
type everything struct {
	Infra     stacks.InfraValues     `json:"gridos-infra"`
	Bootstrap stacks.BootstrapValues `json:"gridos-bootstrap"`
	Apps      stacks.AppsValues      `json:"gridos-apps"`
	Published stacks.PublishedValues `json:"gridos"`
}

func readOutputs(t *testing.T, args ...string) everything {
	t.Helper()
	out, _, err := lab(t, t.Context(), append([]string{"outputs", "--json"}, args...)...)
	require.NoError(t, err)
	// Unknown keys are refused below; missing keys are found here.
	var keys map[string]map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &keys))
	for project, declared := range map[string][]stacks.Output{
		stacks.Infra.Name:     stacks.OutputsOf[stacks.InfraOutputs](),
		stacks.Bootstrap.Name: stacks.OutputsOf[stacks.BootstrapOutputs](),
		stacks.Apps.Name:      stacks.OutputsOf[stacks.AppsOutputs](),
		stacks.Published.Name: stacks.OutputsOf[stacks.PublishedOutputs](),
	} {
		for _, o := range declared {
			assert.Contains(t, keys[project], o.Key, project)
		}
	}
	var all everything
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&all))
	return all
}

// unchanged matches a row of the table of results.
var unchanged = regexp.MustCompile(`(?m)^gridos[a-z-]*/[a-z]+ +no change `)

func TestEngine_TheWholeLineGoesUpStaysAndComesDown(t *testing.T) {
	dir := checkout(t)
	s, err := site.Open("dev")
	require.NoError(t, err)

	arguments := watchArguments(t)
	out, progress, err := lab(t, t.Context(), "up")
	require.NoError(t, err)
	seen := arguments()
	for _, p := range stacks.Projects() {
		assert.Regexp(t, `(?m)^`+p.Name+`/dev +\d+ created +\d+ `, out)
	}
	assert.Regexp(t, `(?m)^dev is up, after \d+`, out)

	t.Run("a second up changes nothing", func(t *testing.T) {
		out, _, err := lab(t, t.Context(), "up", "--expect-no-changes")
		require.NoError(t, err)
		assert.Len(t, unchanged.FindAllString(out, -1), 4)
	})
	t.Run("so does a preview", func(t *testing.T) {
		out, _, err := lab(t, t.Context(), "preview")
		require.NoError(t, err)
		assert.Len(t, unchanged.FindAllString(out, -1), 4)
	})
	t.Run("the outputs are the contract", func(t *testing.T) {
		all := readOutputs(t)
		assert.Equal(t, stacks.ContractVersion, all.Infra.ContractVersion)
		assert.Equal(t, "dev-gridos-aks", all.Infra.ClusterName)
		assert.Equal(t, hidden, all.Infra.Kubeconfig)
		assert.Equal(t, hidden, all.Bootstrap.ArgoCDAdminPassword)
		assert.Equal(t, []string{"gridos-dev", "prometheus"}, all.Published.Applications)
		assert.Equal(t, all.Infra.RegistryLoginServer, all.Published.RegistryLoginServer)
		assert.Regexp(t, `^devgridosacr\w*\.azurecr\.io$`, all.Published.RegistryLoginServer)
	})
	t.Run("the platform is in the real API server", func(t *testing.T) { platformIsInstalled(t, s) })
	t.Run("every workload can be rolled", func(t *testing.T) { everyWorkloadIsRolled(t, s) })
	t.Run("the application's overlays are accepted", func(t *testing.T) { overlaysAreAccepted(t, s) })
	t.Run("no secret is in clear text", func(t *testing.T) { noSecretInClearText(t, s, seen, progress+out) })
	t.Run("env points the user's tools at the lab", func(t *testing.T) {
		out, _, err := lab(t, t.Context(), "env")
		require.NoError(t, err)
		script := out + "\nprintf '%s' \"$PULUMI_BACKEND_URL\"; command -v pulumi >/dev/null"
		shown, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
		require.NoError(t, err)
		backend, err := url.Parse(string(shown))
		require.NoError(t, err)
		assert.Equal(t, []string{"file", s.BackendDir(), "metadata=skip"}, []string{backend.Scheme, backend.Path, backend.RawQuery})
		assert.Contains(t, out, "export KUBECONFIG='"+s.KubeconfigFile()+"'")
	})
	t.Run("with env the plain CLI sees what the lab sees", func(t *testing.T) { thePlainCLISeesTheSame(t, dir, s) })
	t.Run("so does its own language host", func(t *testing.T) { theLanguageHostSeesTheSame(t, s) })
	t.Run("status counts what exists", func(t *testing.T) {
		out, _, err := lab(t, t.Context(), "status", "--json")
		require.NoError(t, err)
		var answer struct {
			Running bool
			Stacks  []stackState
		}
		require.NoError(t, json.Unmarshal([]byte(out), &answer))
		assert.True(t, answer.Running)
		require.Len(t, answer.Stacks, 4)
		assert.Greater(t, answer.Stacks[0].Resources, 30)
		assert.Equal(t, 1, answer.Stacks[3].Resources, "the root project owns nothing but its stack")
	})
	t.Run("another command waits its turn", func(t *testing.T) {
		unlock, err := s.Lock()
		require.NoError(t, err)
		_, _, err = lab(t, t.Context(), "up")
		require.ErrorContains(t, err, "another lab command works on dev in this checkout")
		require.NoError(t, unlock())
	})
	t.Run("mistakes are refused at preview, all at once, and nothing changes", func(t *testing.T) { mistakesAreRefused(t, dir, s) })
	t.Run("a repository that no AppProject permits is refused", func(t *testing.T) { aForeignRepositoryIsRefused(t, dir) })
	t.Run("a change is previewed and made", func(t *testing.T) { aChangeIsMade(t, dir) })
	t.Run("the background process comes back after a crash", func(t *testing.T) {
		record, running, err := s.Running()
		require.NoError(t, err)
		require.True(t, running)
		require.NoError(t, syscall.Kill(record.PID, syscall.SIGKILL))
		out, _, err := lab(t, t.Context(), "up")
		require.NoError(t, err)
		assert.Len(t, unchanged.FindAllString(out, -1), 4)
	})
	t.Run("down leaves nothing, whatever the stacks' files say", func(t *testing.T) {
		for _, project := range []string{"infra", "bootstrap"} {
			require.NoError(t, os.WriteFile(projectfile.StackFile(filepath.Join(dir, project), "dev"), []byte("config: ["), 0o600))
		}
		out, _, err := lab(t, t.Context(), "down")
		require.NoError(t, err)
		assert.Contains(t, out, "The simulated Azure has 0 resources left.")
		assert.NoDirExists(t, filepath.Join(dir, ".lab"))
		assert.Empty(t, processesOf(t, dir))
		out, _, err = lab(t, t.Context(), "status")
		require.NoError(t, err)
		assert.Contains(t, out, "dev is not up")
	})
}

// thePlainCLISeesTheSame previews each project in its own folder, with only the variables that env
// prints. The lab's own preview shows no change.
func thePlainCLISeesTheSame(t *testing.T, dir string, s site.Site) {
	t.Helper()
	variables := exported(t, s)
	for _, p := range stacks.Projects() {
		folder := filepath.Join(dir, p.Directory)
		before, err := os.ReadFile(projectfile.StackFile(folder, "dev"))
		require.NoError(t, err)
		workspace, err := auto.NewLocalWorkspace(t.Context(), auto.WorkDir(folder), auto.EnvVars(variables), auto.Program(programs[p.Name]))
		require.NoError(t, err)
		stack, err := auto.SelectStack(t.Context(), "dev", workspace)
		require.NoError(t, err)
		_, err = stack.Preview(t.Context(), optpreview.ExpectNoChanges())
		require.NoError(t, err, p.Name)
		after, err := os.ReadFile(projectfile.StackFile(folder, "dev"))
		require.NoError(t, err)
		assert.Equal(t, string(before), string(after), "a stack's file stays as it is in Git")
	}
}

// theLanguageHostSeesTheSame has the CLI compile and start the programs. Their sources are in the
// repository that the checkout copies.
func theLanguageHostSeesTheSame(t *testing.T, s site.Site) {
	t.Helper()
	if _, err := exec.LookPath("pulumi-language-go"); err != nil {
		t.Skipf("%v; it is in Pulumi's own download, which needs no account", err) // .ci/run says at its end that this was not tried
	}
	from, err := filepath.Abs(repository)
	require.NoError(t, err)
	for _, p := range stacks.Projects() {
		preview := exec.CommandContext(t.Context(), "pulumi", "-C", filepath.Join(from, p.Directory), "preview", "-s", "dev",
			"--expect-no-changes", "--non-interactive")
		preview.Env = os.Environ()
		for name, value := range exported(t, s) {
			preview.Env = append(preview.Env, name+"="+value)
		}
		output, err := preview.CombinedOutput()
		require.NoError(t, err, "%s\n%s", p.Name, output)
	}
}

// exported returns the variables that env gives a shell, and a folder for the kubeconfigs that the
// Kubernetes provider leaves among the temporary files.
func exported(t *testing.T, s site.Site) map[string]string {
	t.Helper()
	script, _, err := lab(t, t.Context(), "env")
	require.NoError(t, err)
	set, err := exec.CommandContext(t.Context(), "sh", "-c", script+"\nenv -0").Output()
	require.NoError(t, err)
	variables := map[string]string{"TMPDIR": s.TemporaryDir()}
	for variable := range strings.SplitSeq(string(set), "\x00") {
		if name, value, _ := strings.Cut(variable, "="); strings.Contains(script, "\nexport "+name+"='") {
			variables[name] = value
		}
	}
	return variables
}

// programs are what the projects' main functions run.
var programs = map[string]pulumi.RunFunc{
	stacks.Infra.Name: infra.Program, stacks.Bootstrap.Name: bootstrap.Program, stacks.Apps.Name: apps.Program,
	stacks.Published.Name: published.Program,
}

// The test of dev's whole life is above, and test is played beside it in
// TestEngine_AKilledOrInterruptedLabGoesOnAndLabsDoNotMeet. prod is private, protected and locked.
func TestEngine_ProdGoesUpStaysAndComesDown(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: prod is previewed from nothing, and its infra goes up and down in package engine")
	}
	const prod = "prod"
	dir := checkout(t)
	gone := false
	t.Cleanup(func() {
		if !gone {
			_, _, err := lab(t, context.Background(), "down", "-s", prod)
			assert.NoError(t, err)
		}
	})
	out, _, err := lab(t, t.Context(), "up", "-s", prod)
	require.NoError(t, err)
	for _, p := range stacks.Projects() {
		assert.Regexp(t, `(?m)^`+p.Name+`/`+prod+` +\d+ created +\d+ `, out)
	}
	out, _, err = lab(t, t.Context(), "up", "--expect-no-changes", "-s", prod)
	require.NoError(t, err)
	assert.Len(t, unchanged.FindAllString(out, -1), 4)
	out, _, err = lab(t, t.Context(), "down", "-s", prod)
	require.NoError(t, err)
	gone = true
	assert.Contains(t, out, "The simulated Azure has 0 resources left.")
	assert.NoDirExists(t, filepath.Join(dir, ".lab", prod))
	assert.Empty(t, processesOf(t, dir))
}

func clusterOf(t *testing.T, s site.Site) *kube.Clients {
	t.Helper()
	clients, err := kube.Connect(s.KubeconfigFile())
	require.NoError(t, err)
	return clients
}

// The definitions and the namespace come from the lab's own programs, so the cluster knows every
// kind in an overlay.
func overlaysAreAccepted(t *testing.T, s site.Site) {
	t.Helper()
	paths, err := (&toolchain.Resolver{ToolsDir: s.ToolsDir()}).Resolve(t.Context(), toolchain.Kustomize)
	require.NoError(t, err)
	for _, environment := range naming.Environments() {
		objects, err := manifests.Build(t.Context(), paths[toolchain.Kustomize], s.ProjectDir("applications/gridos/overlays/"+environment))
		require.NoError(t, err)
		require.NoError(t, manifests.DryRun(t.Context(), clusterOf(t, s), objects), environment)
	}
}

func platformIsInstalled(t *testing.T, s site.Site) {
	t.Helper()
	cluster := clusterOf(t, s)
	argo := schema.GroupVersion{Group: "argoproj.io", Version: "v1alpha1"}
	application, err := cluster.Objects.Resource(argo.WithResource("applications")).Namespace("argocd").
		Get(t.Context(), "gridos-dev", metav1.GetOptions{})
	require.NoError(t, err)
	spec, ok := application.Object["spec"].(map[string]any)
	require.True(t, ok)
	assert.Equal(t, "applications/gridos/overlays/dev", spec["source"].(map[string]any)["path"])
	_, err = cluster.Objects.Resource(argo.WithResource("appprojects")).Namespace("argocd").Get(t.Context(), "gridos", metav1.GetOptions{})
	require.NoError(t, err)

	for _, resource := range []string{"rollouts", "analysistemplates"} {
		list, err := cluster.Core.Discovery().ServerResourcesForGroupVersion(argo.String())
		require.NoError(t, err)
		names := []string{}
		for _, r := range list.APIResources {
			names = append(names, r.Name)
		}
		assert.Contains(t, names, resource)
	}
	for name, want := range map[string]int32{
		"argocd/argocd-server": 2, "argocd/argocd-repo-server": 2, "argocd/argocd-applicationset-controller": 2,
		"argocd/argocd-redis-ha-haproxy": 3, "argo-rollouts/argo-rollouts": 2,
	} {
		namespace, deployment, _ := strings.Cut(name, "/")
		d, err := cluster.Core.AppsV1().Deployments(namespace).Get(t.Context(), deployment, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, want, d.Status.ReadyReplicas, name)
	}
	for name, want := range map[string]int32{"argocd-application-controller": 1, "argocd-redis-ha-server": 3} {
		set, err := cluster.Core.AppsV1().StatefulSets("argocd").Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, want, set.Status.ReadyReplicas, name)
	}
}

// watchArguments records the arguments of all processes until the returned function is called.
// Every user of a machine can read them.
func watchArguments(t *testing.T) (seen func() []string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Log("only Linux shows the arguments of processes: they are not looked at")
		return func() []string { return nil }
	}
	ctx, stop := context.WithCancel(t.Context())
	lines, done := map[string]bool{}, make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			processes, err := procfs.AllProcs()
			if !assert.NoError(t, err) {
				return
			}
			for _, p := range processes {
				if words, err := p.CmdLine(); err == nil { // else it has ended
					lines[strings.Join(words, " ")] = true
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return func() []string {
		stop()
		<-done
		return slices.Sorted(maps.Keys(lines))
	}
}

// noSecretInClearText looks for every secret in all files that the lab wrote (except those for
// signing in), in the system's temporary files, in the arguments of processes, and in the output of
// commands.
func noSecretInClearText(t *testing.T, s site.Site, arguments []string, printed string) {
	t.Helper()
	all := readOutputs(t, showSecrets)
	for _, command := range []string{"preview", "outputs", "status", "env"} {
		out, progress, err := lab(t, t.Context(), command)
		require.NoError(t, err)
		printed += progress + out
	}
	key := regexp.MustCompile(`client-key-data: (\S+)`).FindStringSubmatch(all.Infra.Kubeconfig)
	require.Len(t, key, 2, "the lab's kubeconfig has a key")
	secrets := secretsOf(t, s)
	secrets["the kubeconfig's key"] = key[1]
	require.Contains(t, slices.Collect(maps.Values(secrets)), all.Bootstrap.ArgoCDAdminPassword)
	require.GreaterOrEqual(t, len(secrets), 5, "two passwords, their hashes, the kubeconfig")
	for what, secret := range secrets {
		assert.NotContains(t, printed, secret, "%s is printed", what)
		for _, line := range arguments {
			assert.NotContains(t, line, secret, "%s is among the arguments of a process", what)
		}
	}
	if runtime.GOOS == "linux" {
		for _, program := range []string{"/pulumi ", "/kube-apiserver ", "/etcd "} {
			assert.True(t, slices.ContainsFunc(arguments, func(line string) bool { return strings.Contains(line, program) }), program)
		}
	}
	files := 0
	look := func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // the lab deleted it during the walk
		case err != nil:
			return err
		case path == s.ControlPlaneDir(), path == s.TemporaryDir():
			return fs.SkipDir // the cluster itself, which must know how to let its administrator in
		case entry.IsDir(), path == s.KubeconfigFile(), filepath.Ext(path) == ".kubeconfig":
			return nil // with these files one signs in to the cluster as its administrator
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		files++
		for what, secret := range secrets {
			assert.NotContains(t, string(text), secret, "%s is in %s", what, path)
		}
		return nil
	}
	require.NoError(t, filepath.WalkDir(s.Dir, look))
	assert.Greater(t, files, 10)
	require.NoError(t, filepath.WalkDir(os.TempDir(), look))

	// Other users cannot enter the folders, so they reach none of the files in them.
	for _, dir := range []string{filepath.Dir(s.Dir), s.Dir, s.ControlPlaneDir()} {
		info, err := os.Stat(dir)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), dir)
	}
	for _, file := range []string{s.KubeconfigFile(), s.PassphraseFile(), s.AzureFile(), s.RecordFile()} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), file)
	}
	// Other teams may read the root project's state, so it must not have even an encrypted secret.
	published, err := os.ReadFile(filepath.Join(s.BackendDir(), ".pulumi", "stacks", stacks.Published.Name, "dev.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(published), "ciphertext")
}

// secretsOf returns every secret string in the states of all stacks, by the path of its resource or
// output.
func secretsOf(t *testing.T, s site.Site) map[string]string {
	t.Helper()
	record, _, err := s.Running()
	require.NoError(t, err)
	secrets := map[string]string{}
	for _, p := range stacks.Projects() {
		command := exec.CommandContext(t.Context(), "pulumi", "stack", "export", "--show-secrets", "--stack", s.Environment)
		command.Dir = s.WorkDir(p.Name)
		command.Env = os.Environ()
		for name, value := range s.Variables(record) {
			command.Env = append(command.Env, name+"="+value)
		}
		state, err := command.Output()
		require.NoError(t, err)
		var deployment any
		require.NoError(t, json.Unmarshal(state, &deployment))
		collectSecrets(p.Name, deployment, secrets)
	}
	return secrets
}

// collectSecrets walks through a state that was exported with its secrets.
func collectSecrets(path string, value any, secrets map[string]string) {
	switch value := value.(type) {
	case map[string]any:
		text, ok := value["plaintext"].(string)
		var secret string
		if ok && json.Unmarshal([]byte(text), &secret) == nil && len(secret) > 16 {
			secrets[path] = secret
		}
		for key, nested := range value {
			collectSecrets(path+"."+key, nested, secrets)
		}
	case []any:
		for i, nested := range value {
			collectSecrets(path+"["+strconv.Itoa(i)+"]", nested, secrets)
		}
	}
}

// configure sets keys of a stack's file, whatever it contains, and returns a function that restores
// the file.
func configure(t *testing.T, path string, values map[string]any) func() {
	t.Helper()
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	settings := map[string]any{}
	require.NoError(t, yaml.Unmarshal(before, &settings))
	config, ok := settings["config"].(map[string]any)
	if !ok {
		config = map[string]any{}
	}
	maps.Copy(config, values)
	settings["config"] = config
	// The lab must ignore the keys that the CLI adds to the file of a real stack.
	settings["secretsprovider"] = "azurekeyvault://somewhere.vault.azure.net/keys/pulumi"
	settings["encryptedkey"] = "c29tZXRoaW5n"
	after, err := yaml.Marshal(settings)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, after, 0o600))
	return func() { require.NoError(t, os.WriteFile(path, before, 0o600)) }
}

func mistakesAreRefused(t *testing.T, dir string, s site.Site) {
	t.Helper()
	defer configure(t, projectfile.StackFile(filepath.Join(dir, "infra"), "dev"), map[string]any{
		"gridos-infra:addressSpace":  "10.10.0.0/16",
		"gridos-infra:aksSubnet":     "10.10.0.0/20",
		"gridos-infra:podCidr":       "10.10.128.0/17",
		"gridos-infra:gatewaySubnet": "10.10.0.0/24",
		"gridos-infra:serviceCidr":   "10.96.0.0/33",
		"gridos-infra:userPoolMin":   []int{1},
		"gridos-infra:nameSuffix":    "much-too-long-for-a-key-vault",
		"gridos-infra:clusterTeir":   "Free",
	})()
	defer configure(t, projectfile.StackFile(filepath.Join(dir, "apps"), "dev"), map[string]any{"gridos-apps:repositoryUrl": "nowhere"})()
	before, err := os.ReadFile(s.AzureFile())
	require.NoError(t, err)

	for _, verb := range []string{"preview", "up"} {
		_, _, err := lab(t, t.Context(), verb)
		var mistakes *config.Error
		require.ErrorAs(t, err, &mistakes, verb)
		for _, want := range []string{
			"gridos-infra:podCidr: 10.10.128.0/17 overlaps addressSpace 10.10.0.0/16",
			"gridos-infra:gatewaySubnet: 10.10.0.0/24 overlaps aksSubnet 10.10.0.0/20",
			`gridos-infra:serviceCidr: "10.96.0.0/33" is not a CIDR`,
			"gridos-infra:userPoolMin: \"[1]\" is not a whole number",
			"gridos-infra:nameSuffix: makes",
			"gridos-infra:clusterTeir: no such key; did you mean gridos-infra:clusterTier?",
			`gridos-apps:repositoryUrl: "nowhere" is not the address of a Git repository`,
		} {
			require.ErrorContains(t, err, want, verb)
		}
	}
	after, err := os.ReadFile(s.AzureFile())
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))

	// kubectl still reaches the lab.
	out, said, err := lab(t, t.Context(), "env")
	require.NoError(t, err)
	assert.Contains(t, out, "\nexport KUBECONFIG='")
	assert.Contains(t, said, "pulumi does not see what the stack files say now: gridos-infra: 7 mistakes")
}

func aForeignRepositoryIsRefused(t *testing.T, dir string) {
	t.Helper()
	defer configure(t, projectfile.StackFile(filepath.Join(dir, "apps"), "dev"), map[string]any{
		"gridos-apps:repositoryUrl": "https://github.com/other/fork.git",
	})()
	for _, verb := range []string{"preview", "up"} {
		_, _, err := lab(t, t.Context(), verb)
		require.ErrorContains(t, err, "the cluster of dev does not permit the repository https://github.com/other/fork.git", verb)
		require.ErrorContains(t, err, "sourceRepositories", verb)
	}
}

func aChangeIsMade(t *testing.T, dir string) {
	t.Helper()
	// Raise the minimum of a pool whose number of nodes the autoscaler owns, and the days that logs
	// are kept.
	restore := configure(t, projectfile.StackFile(filepath.Join(dir, "infra"), "dev"), map[string]any{
		"gridos-infra:logRetentionDays": 60,
		"gridos-infra:userPoolMin":      2,
	})
	for _, verb := range []string{"preview", "up"} {
		out, _, err := lab(t, t.Context(), verb)
		require.NoError(t, err)
		assert.Regexp(t, `(?m)^gridos-infra/dev +2 updated `, out, verb)
		assert.Len(t, unchanged.FindAllString(out, -1), 3, verb)
	}
	restore()
	_, _, err := lab(t, t.Context(), "up", "--expect-no-changes")
	require.ErrorContains(t, err, "no changes were expected, but gridos-infra has 2 updated")
}

// processesOf lists the running processes that name dir in their arguments.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	found := []string{}
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, entry := range entries {
		text, err := os.ReadFile(entry)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended
		}
		require.NoError(t, err)
		if bytes.Contains(text, []byte(dir)) {
			found = append(found, string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
		}
	}
	return found
}

func TestEngine_EveryEnvironmentIsPreviewedFromNothing(t *testing.T) {
	dir := checkout(t)
	// A secret that only the real environment's key decrypts does not prevent a preview.
	configure(t, projectfile.StackFile(filepath.Join(dir, "bootstrap"), "test"), map[string]any{
		"gridos-bootstrap:repositoryCredentialsUrl": "https://github.com/gridos/",
		"gridos-bootstrap:repositoryToken":          map[string]any{"secure": "v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="},
	})
	for _, environment := range []string{"dev", "test", "prod"} {
		out, _, err := lab(t, t.Context(), "preview", "-s", environment)
		require.NoError(t, err)
		for _, p := range stacks.Projects() {
			assert.Regexp(t, `(?m)^`+p.Name+`/`+environment+` +\d+ created `, out)
		}
		assert.NoDirExists(t, filepath.Join(dir, ".lab"))
	}
	assert.Empty(t, processesOf(t, dir))
}

// withoutTool makes the lab work as on a machine that has all tools but one.
func withoutTool(t *testing.T, name string) {
	t.Helper()
	cache, err := toolchain.DefaultCacheDir()
	require.NoError(t, err)
	tools, err := os.ReadDir(filepath.Join(cache, "tools"))
	require.NoError(t, err)
	other := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(other, "tools"), 0o700))
	for _, tool := range tools {
		if !strings.HasPrefix(tool.Name(), name+"-") {
			require.NoError(t, os.Symlink(filepath.Join(cache, "tools", tool.Name()), filepath.Join(other, "tools", tool.Name())))
		}
	}
	t.Setenv(toolchain.EnvCache, other)
	// An earlier lab of this process has put the folders of its tools on PATH.
	path := slices.DeleteFunc(filepath.SplitList(os.Getenv("PATH")), func(dir string) bool { return strings.HasPrefix(dir, cache) })
	t.Setenv("PATH", strings.Join(path, string(filepath.ListSeparator)))
}

// up is killed once, then Ctrl-C interrupts it at three moments (at one with -short) and down at one,
// while another environment is up beside. No resource is left that no state tracks.
func TestEngine_AKilledOrInterruptedLabGoesOnAndLabsDoNotMeet(t *testing.T) {
	dir := checkout(t)
	s, err := site.Open("dev")
	require.NoError(t, err)
	withoutTool(t, toolchain.Etcd)
	_, progress, err := lab(t, t.Context(), "up", "-s", "test")
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(progress, "Once, the lab has to "))
	assert.Regexp(t, `(?s)\ntest gridos-infra up ….*\netcd [0-9.]+: done  built`, progress, "infra comes up before the cluster can run")
	t.Cleanup(func() {
		if _, _, err := lab(t, context.Background(), "down", "-s", "test"); err != nil {
			t.Errorf("the other environment could not be taken down: %v", err)
		}
	})

	killWhileCreating(t, dir, s)
	created := sizeOf(s.AzureFile())
	type moment struct {
		name  string
		reach func() bool
	}
	moments := []moment{
		// This is also the longest moment: it leaves time to look at the status.
		{"while Azure's other resources are made", func() bool {
			return sizeOf(s.AzureFile()) > created+8000 && statusAnswers(t)
		}},
		{"while the releases are awaited", func() bool { return sizeOf(s.LogFile("gridos-bootstrap-up")) > 600 }},
		{"while the Applications are made", func() bool { return sizeOf(s.LogFile("gridos-apps-up")) > 0 }},
	}
	if testing.Short() {
		moments = moments[:1]
	}
	for _, moment := range moments {
		code, output := interrupt(t, dir, "up", moment.reach)
		assert.Equal(t, cli.Interrupted, code, moment.name)
		assert.Contains(t, output, "Stopped. `bin/lab up` goes on from here", moment.name)
		assert.NotContains(t, output, "Error:", moment.name)
	}
	_, _, err = lab(t, t.Context(), "up")
	require.NoError(t, err)
	_, _, err = lab(t, t.Context(), "up", "--expect-no-changes")
	require.NoError(t, err)
	code, output := interrupt(t, dir, "down", func() bool { return sizeOf(s.LogFile("gridos-infra-down")) > 0 })
	assert.Equal(t, cli.Interrupted, code)
	assert.Contains(t, output, "Stopped. `bin/lab down` goes on from here.")
	assert.NotContains(t, output, "Error:")
	out, _, err := lab(t, t.Context(), "down")
	require.NoError(t, err)
	assert.Contains(t, out, "The simulated Azure has 0 resources left.")

	_, _, err = lab(t, t.Context(), "up", "-s", "test", "--expect-no-changes")
	require.NoError(t, err, "the other environment never noticed")
	out, _, err = lab(t, t.Context(), "down", "-s", "test")
	require.NoError(t, err)
	assert.Contains(t, out, "The simulated Azure has 0 resources left.")
	assert.Empty(t, processesOf(t, dir))
}

// statusAnswers asks for the status while another command works.
func statusAnswers(t *testing.T) bool {
	t.Helper()
	_, _, err := lab(t, t.Context(), "status")
	return assert.NoError(t, err)
}

// interrupt runs a command of the lab as a terminal's foreground job. It sends the signal of Ctrl-C
// once reached is true, and returns the command's exit code and output.
func interrupt(t *testing.T, dir, verb string, reached func() bool) (code int, output string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, self, verb)
	command.Dir = dir
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Env = append(os.Environ(), asLab+"=1")
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	require.NoError(t, command.Start())
	require.NoError(t, site.WaitFor(ctx, func() (bool, error) { return reached(), nil }))
	require.NoError(t, syscall.Kill(-command.Process.Pid, syscall.SIGINT))
	err = command.Wait()
	t.Log(said.String())
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), said.String()
	}
	require.NoError(t, err)
	return 0, said.String()
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// killWhileCreating kills up, its engine and its providers while Azure creates resources, which the
// engine then cannot record: the next command finds resources that no state tracks.
func killWhileCreating(t *testing.T, dir string, s site.Site) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, self, "up")
	command.Dir = dir
	command.Env = append(os.Environ(), asLab+"=1")
	require.NoError(t, command.Start())
	require.NoError(t, site.WaitFor(ctx, func() (bool, error) { return sizeOf(s.AzureFile()) > 12000, nil }))
	require.NoError(t, command.Process.Kill())
	require.Error(t, command.Wait())
	killWorkingIn(t, s.WorkDir(stacks.Infra.Name))
	inPlace, err := filepath.Glob(filepath.Join(s.BackendDir(), ".pulumi", "stacks", "*", "*.attrs"))
	require.NoError(t, err)
	assert.Empty(t, inPlace, "a process that is killed while it writes these leaves a state that cannot be loaded")
}

// killWorkingIn kills every process whose working directory is dir: the Pulumi CLI and what it started.
func killWorkingIn(t *testing.T, dir string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		if cwd, err := os.Readlink(link); err != nil || cwd != dir {
			continue // it has ended, belongs to another user, or works elsewhere
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		require.NoError(t, err)
		if err := syscall.Kill(pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
			require.NoError(t, err)
		}
	}
}
