package nodeagent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Command is the hidden command of the lab that begins a container; see Enter.
const Command = "container"

// plan is what a container is made of: the program that begins it gets this.
type plan struct {
	// Root is the folder that the container sees as /, and ReadOnly says that it cannot write there.
	Root     string `json:"root"`
	ReadOnly bool   `json:"readOnly"`
	// Hostname is the pod's name.
	Hostname string `json:"hostname"`
	// User and Group are the ids in the container. Outside they are those of the lab's user.
	User  int64 `json:"user"`
	Group int64 `json:"group"`
	// Mounts come into the root, in their order.
	Mounts []mount `json:"mounts"`
	// Command is the program with its arguments, Dir its working directory, Env its environment.
	Command []string `json:"command"`
	Dir     string   `json:"dir"`
	Env     []string `json:"env"`
	// Listen are the addresses, in the pod's network, of the servers outside of it.
	Listen []string `json:"listen"`

	forward []func() (net.Conn, error) // where connections to Listen go
	memory  uint64                     // the limit in bytes, or 0
	remove  func() error
}

// mount is a folder, or a file, of this machine that a container sees.
type mount struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly"`
}

// plan makes the file system of a container and collects the rest. Its errors are those that a
// kubelet reports as CreateContainerConfigError.
func (p *pod) plan(ctx context.Context, spec *corev1.Container, of image) (*plan, error) {
	user, group, err := p.userOf(spec, of)
	if err != nil {
		return nil, err
	}
	environment, err := p.environment(ctx, spec, of)
	if err != nil {
		return nil, err
	}
	made := &plan{
		Hostname: p.name.Name, User: user, Group: group, Env: environment, Dir: of.config.WorkingDir,
		Command: command(spec, of, environment), memory: uint64(spec.Resources.Limits.Memory().Value()),
	}
	if len(made.Command) == 0 {
		return nil, errors.New("no command specified")
	}
	if spec.WorkingDir != "" {
		made.Dir = spec.WorkingDir
	}
	if c := spec.SecurityContext; c != nil && c.ReadOnlyRootFilesystem != nil {
		made.ReadOnly = *c.ReadOnlyRootFilesystem
	}
	for _, m := range spec.VolumeMounts {
		source := filepath.Join(p.volumeDir(m.Name), m.SubPath)
		if _, err := os.Stat(source); err != nil {
			return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q", m.Name, spec.Name)
		}
		made.Mounts = append(made.Mounts, mount{Source: source, Target: m.MountPath, ReadOnly: m.ReadOnly})
	}
	return made, p.makeRoot(made, spec, of)
}

// etc are the files of a container that the node writes.
func (p *pod) etc(made *plan) map[string]string {
	hosts := []string{"127.0.0.1 localhost", "::1 localhost", p.address.String() + " " + p.name.Name}
	if p.agent.options.Services != nil {
		at := servicesAt
		for _, service := range p.agent.options.Services() {
			known := netip.AddrPortFrom(at, uint16(service.Port))
			hosts = append(hosts, at.String()+" "+service.Host)
			made.Listen = append(made.Listen, known.String())
			made.forward = append(made.forward, func() (net.Conn, error) { return p.reach(service, known) })
			at = at.Next()
		}
	}
	files := map[string]string{"etc/hosts": strings.Join(hosts, "\n") + "\n", "etc/hostname": p.name.Name + "\n"}
	if p.agent.options.Roots != nil {
		files["etc/ssl/certs/ca-certificates.crt"] = string(p.agent.options.Roots())
	}
	return files
}

// reach connects to a server outside of the cluster's network, which the pod knows at an address, if
// the network policies let it. A refusal ends the connection at once; a real network drops its
// packets, and the pod waits.
func (p *pod) reach(server Service, known netip.AddrPort) (net.Conn, error) {
	if err := p.agent.mayReachServer(p.name, server.Host, known); err != nil {
		p.agent.note(err, "a connection is refused", "pod", p.name, "server", server.Host)
		return nil, err
	}
	return net.Dial("tcp", server.Address)
}

// makeRoot makes the folder that a container sees as /.
func (p *pod) makeRoot(made *plan, spec *corev1.Container, of image) (err error) {
	made.Root = filepath.Join(p.dir, "roots", spec.Name)
	made.remove = func() error { return os.RemoveAll(made.Root) }
	if err := made.remove(); err != nil { // of a container before
		return err
	}
	if err := copyTree(of.root, made.Root, made.ReadOnly); err != nil {
		return fmt.Errorf("make the container's file system: %w", err)
	}
	root, err := os.OpenRoot(made.Root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for name, content := range p.etc(made) {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) { // the image's, which it may share
			return err
		}
		if err := root.WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	for _, device := range devices {
		made.Mounts = append(made.Mounts, mount{Source: device, Target: device})
	}
	made.Mounts = slices.Clone(made.Mounts)
	return mountPoints(root, made.Mounts)
}

// devices are those that a container sees.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// mountPoints makes the places where something is mounted.
func mountPoints(root *os.Root, mounts []mount) error {
	for _, m := range mounts {
		target := path.Clean("/" + m.Target)[1:]
		info, err := os.Stat(m.Source)
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = root.MkdirAll(target, 0o755)
		} else if err = root.MkdirAll(path.Dir(target), 0o755); err == nil {
			var file *os.File
			if file, err = root.OpenFile(target, os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
				err = file.Close()
			}
		}
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.Target, err)
		}
	}
	return root.MkdirAll("proc", 0o755)
}

// network is what a container sees as the network of the cluster and of Azure: every address of it
// is one of its loopback interface.
var (
	network = netip.MustParsePrefix("10.0.0.0/8")
	netmask = netip.MustParseAddr("255.0.0.0")
	// servicesAt is the first address of the servers outside of the cluster.
	servicesAt = netip.MustParseAddr("10.255.255.1")
)
