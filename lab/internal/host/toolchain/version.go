package toolchain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

// versionTimeout bounds how long a found binary may take to print its version; a sound one takes
// well below a second.
const versionTimeout = 15 * time.Second

var versionPattern = regexp.MustCompile(`\bv?(\d+\.\d+\.\d+[0-9A-Za-z.+-]*)`)

// readVersion returns the version of a binary of this tool, without a leading v.
func (t Tool) readVersion(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()

	if len(t.versionArgs) == 0 {
		return providerVersion(ctx, path)
	}
	cmd := exec.CommandContext(ctx, path, t.versionArgs...)
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	ownGroup(cmd)
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	match := versionPattern.FindSubmatch(output)
	if match == nil {
		return "", fmt.Errorf("%s prints no version", strings.Join(cmd.Args, " "))
	}
	return string(match[1]), nil
}

// providerVersion starts a resource provider and asks it for its version, as the engine does,
// because a provider has no flag for it. On its first line of output it prints its port.
func providerVersion(ctx context.Context, path string) (version string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, path)
	ownGroup(cmd)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return "", err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return "", err
	}
	defer func() {
		cancel()
		// The process was asked to end, so its exit status says nothing.
		_ = cmd.Wait()
	}()

	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		return "", errors.Join(errors.New("it names no port to serve on"), lines.Err())
	}
	conn, err := grpc.NewClient("127.0.0.1:"+strings.TrimSpace(lines.Text()),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	info, err := pulumirpc.NewResourceProviderClient(conn).GetPluginInfo(ctx, &emptypb.Empty{})
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(info.GetVersion(), "v"), nil
}
