package process

import (
	"strings"
	"testing"
)

func TestFindCgroup(t *testing.T) {
	const (
		unified = "24 30 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
		hybrid  = "24 30 0:22 / /sys/fs/cgroup rw shared:4 - tmpfs tmpfs rw\n" +
			"25 24 0:23 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
			"26 24 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		part = "24 30 0:22 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
	)
	for _, tc := range []struct {
		mounts, groups string
		own, top       string
		err            string
	}{
		{unified, "0::/user.slice/a.scope\n", "/sys/fs/cgroup/user.slice/a.scope", "/sys/fs/cgroup", ""},
		{unified, "0::/\n", "/sys/fs/cgroup", "/sys/fs/cgroup", ""},
		{hybrid, "4:memory:/x\n0::/system.slice/b c.service\n", "/sys/fs/cgroup/unified/system.slice/b c.service", "/sys/fs/cgroup/unified", ""},
		{part, "0::/docker/abc/init\n", "/sys/fs/cgroup/init", "/sys/fs/cgroup", ""},
		{part, "0::/docker/abc\n", "/sys/fs/cgroup", "/sys/fs/cgroup", ""},
		{part, "0::/docker/abcd\n", "", "", "not mounted"},
		{unified, "0::/../other\n", "", "", "not mounted"},
		{unified, "4:memory:/x\n", "", "", "no cgroup"},
		{unified, "0::x\n", "", "", "no cgroup"},
		{"", "0::/\n", "", "", "not mounted"},
		{"24 30 - cgroup2", "0::/\n", "", "", "not mounted"},
		{"", "", "", "", "no cgroup"},
	} {
		own, top, err := findCgroup(tc.mounts, tc.groups)
		if own != tc.own || top != tc.top || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q in %q: %q, %q, %v (want %q, %q, %q)", tc.groups, tc.mounts, own, top, err, tc.own, tc.top, tc.err)
		}
	}
}

func FuzzFindCgroup(f *testing.F) {
	f.Add("24 30 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/a\n")
	f.Add("24 30 0:22 /a /c rw - cgroup2 cgroup2 rw\n", "0::/a/b\n")
	f.Fuzz(func(t *testing.T, mounts, groups string) {
		own, top, err := findCgroup(mounts, groups)
		if err == nil && own != top && !strings.HasPrefix(own, strings.TrimSuffix(top, "/")+"/") {
			t.Errorf("%q is not below %q", own, top)
		}
	})
}

func TestADirectoryThatIsNoCgroupIsNotDelegated(t *testing.T) {
	dir := t.TempDir()
	for _, top := range []bool{true, false} {
		if isDelegated(dir, top) {
			t.Errorf("%s is taken for a cgroup", dir)
		}
	}
}
