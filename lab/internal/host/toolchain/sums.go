package toolchain

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// sumsFile, in the folder of the tools, names the archives that may be downloaded, with their
// checksums.
const sumsFile = "downloads.yaml"

// downloads is the content of sumsFile.
type downloads struct {
	Tools  []toolDownload     `yaml:"tools"`
	Bundle map[string]archive `yaml:"bundle"` // by platform
}

// toolDownload are the archives of one tool in one version.
type toolDownload struct {
	Tool     string             `yaml:"tool"`
	Version  string             `yaml:"version"`
	Archives map[string]archive `yaml:"archives"` // by platform
}

// archive is a file that upstream publishes.
type archive struct {
	URL string `yaml:"url"`
	// Member is the path of the program in the archive; without it, the file is the program.
	Member string `yaml:"member"`
	// Beside are further programs of the archive that the program looks for in its own folder.
	Beside []string `yaml:"beside"`
	// Sum is the checksum, after the name of its algorithm and a colon. Without it nothing is
	// downloaded.
	Sum string `yaml:"sum"`
	// Size is in bytes; 0 if it is not known.
	Size int64 `yaml:"size"`
}

var sumPattern = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)

// key names the archive among the files of the cache: another checksum is another file.
func (a archive) key() string {
	_, sum, _ := strings.Cut(a.Sum, ":")
	return sum[:min(len(sum), 2*8)]
}

// platform names the machine as sumsFile does.
func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// downloads reads sumsFile. A folder of tools without the file has no downloads.
func (r *Resolver) downloads() (*downloads, error) {
	path := filepath.Join(r.ToolsDir, sumsFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &downloads{}, nil
	}
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	var all downloads
	if err := decoder.Decode(&all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, entry := range all.Tools {
		for on, a := range entry.Archives {
			if err := a.check(); err != nil {
				return nil, fmt.Errorf("%s: %s for %s: %w", path, entry.Tool, on, err)
			}
		}
	}
	for on, a := range all.Bundle {
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("%s: the bundle for %s: %w", path, on, err)
		}
	}
	return &all, nil
}

func (a archive) check() error {
	if a.Sum != "" && !sumPattern.MatchString(a.Sum) {
		return fmt.Errorf("sum is %q; write sha256: or sha512: and the checksum in lower-case hexadecimal digits", a.Sum)
	}
	return nil
}

// entry returns what the file has on a tool.
func (d *downloads) entry(tool string) (toolDownload, bool) {
	i := slices.IndexFunc(d.Tools, func(e toolDownload) bool { return e.Tool == tool })
	if i < 0 {
		return toolDownload{}, false
	}
	return d.Tools[i], true
}

// resolved fills the placeholders of an archive in.
func (d *downloads) resolved(a archive, version string) archive {
	kubernetes, _ := d.entry(KubeAPIServer)
	replace := strings.NewReplacer("{version}", version, "{kubernetes}", kubernetes.Version)
	a.URL, a.Member = replace.Replace(a.URL), replace.Replace(a.Member)
	return a
}

// archive returns the archive of the pinned version for this machine. Its error says why there is
// none that may be used.
func (s *search) archive() (archive, error) {
	all, err := s.downloads()
	if err != nil {
		return archive{}, err
	}
	entry, ok := all.entry(s.tool.Name)
	if !ok {
		return archive{}, fmt.Errorf("%s has no archive of it", sumsFile)
	}
	if entry.Version != s.version {
		return archive{}, fmt.Errorf("%s has the checksum of version %s (lab tools --pin asks for the new one)", sumsFile, entry.Version)
	}
	a, ok := entry.Archives[platform()]
	if !ok {
		return archive{}, fmt.Errorf("%s has no archive of it for %s", sumsFile, platform())
	}
	if a.Sum == "" {
		return archive{}, fmt.Errorf("%s has no checksum of it for %s (lab tools --pin asks for it)", sumsFile, platform())
	}
	return all.resolved(a, entry.Version), nil
}

// sum returns the bytes of a checksum and the name of its algorithm.
func (a archive) sum() (algorithm string, sum []byte, err error) {
	algorithm, digits, _ := strings.Cut(a.Sum, ":")
	sum, err = hex.DecodeString(digits)
	return algorithm, sum, err
}
