package serve

import "golang.org/x/sys/unix"

// isNetworkFolder tells whether dir is on a file system of another machine.
func isNetworkFolder(dir string) bool {
	const smb2 = 0xfe534d42 // of Linux's fs/smb, not in package unix
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, smb2, 0xff534d42: // the last: CIFS
		return true
	}
	return false
}
