package toolchain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
)

const (
	// connectTimeout bounds the time lost on a closed network before the lab starts to build.
	connectTimeout = 5 * time.Second
	// downloadTimeout bounds a whole download; building takes longer than that on most machines.
	downloadTimeout = 10 * time.Minute
)

// fetcher is a tool's own downloader.
type fetcher struct {
	// url is checked first, and briefly: the downloaders themselves retry and wait for minutes.
	url string
	// run downloads the tool to the paths that its ownCache function returns.
	run func(ctx context.Context, r *Resolver, version string) error
}

func installCLI() *fetcher {
	return &fetcher{url: "https://get.pulumi.com/install.sh", run: runInstallCLI}
}

func installPlugin() *fetcher {
	return &fetcher{url: "https://get.pulumi.com/install.sh", run: runInstallPlugin}
}

func fetchEnvtest() *fetcher {
	return &fetcher{
		url: "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml",
		run: runSetupEnvtest,
	}
}

// download runs the tool's own downloader and returns the path of the binary, or "" if there is no
// downloader. The error says why it failed; the search goes on.
func (s *search) download(ctx context.Context, step *progress.Step, unreachable map[string]error) (string, error) {
	if s.tool.fetch == nil {
		return "", nil
	}
	if s.Offline || switchedOn(EnvOffline) {
		return "", errors.New("downloads are switched off")
	}
	step.Update(s.explain("trying its own downloader"))
	url := s.tool.fetch.url
	if _, asked := unreachable[url]; !asked {
		unreachable[url] = reach(ctx, url)
	}
	if err := unreachable[url]; err != nil {
		return "", fmt.Errorf("its downloader has no network (%w)", err)
	}
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	step.Update(s.explain("downloading"))
	if err := s.tool.fetch.run(ctx, s.Resolver, s.version); err != nil {
		return "", fmt.Errorf("its downloader failed (%w)", err)
	}
	if path := s.findInOwnCache(ctx); path != "" {
		return path, nil
	}
	return "", errors.New("its downloader brought another version")
}

func switchedOn(env string) bool {
	value := os.Getenv(env)
	return value != "" && value != "0"
}

// reach checks whether a URL answers. It honours the usual proxy variables.
func reach(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: connectTimeout,
		DisableKeepAlives:     true,
	}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// runInstallCLI installs the CLI, with its language hosts, into the Automation API's own folder.
func runInstallCLI(ctx context.Context, _ *Resolver, version string) error {
	v, err := semver.Parse(version)
	if err != nil {
		return err
	}
	_, err = auto.InstallPulumiCommand(ctx, &auto.PulumiCommandOptions{Version: v})
	return err
}

// runInstallPlugin lets the CLI put the provider among the engine's plugins.
func runInstallPlugin(ctx context.Context, r *Resolver, version string) error {
	cli, err := r.newSearch(Pulumi)
	if err != nil {
		return err
	}
	path, err := cli.find(ctx)
	if err != nil {
		return err
	}
	if path == "" {
		return errors.New("it needs the Pulumi CLI, which is not there yet")
	}
	return runTool(ctx, path, "plugin", "install", "resource", "kubernetes", version)
}

// runSetupEnvtest downloads etcd and kube-apiserver together. The index does not have every patch
// release, so a missing one is an ordinary failure.
func runSetupEnvtest(ctx context.Context, r *Resolver, _ string) error {
	kubernetes, err := r.Version(KubeAPIServer)
	if err != nil {
		return err
	}
	paths, err := (&Resolver{ToolsDir: r.ToolsDir, CacheDir: r.CacheDir, Offline: r.Offline}).Resolve(ctx, setupEnvtest)
	if err != nil {
		return err
	}
	return runTool(ctx, paths[setupEnvtest], "use", kubernetes)
}

func runTool(ctx context.Context, path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	ownGroup(cmd)
	output, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, lines[len(lines)-1])
	}
	return nil
}
