package proto

// Limits of protocol.md, 11 and 14; sizes in bytes.
const (
	MaxApplication  = 80 << 10 // an application entry's Bytes
	MaxCommit       = 2 << 20  // a commit's Bytes
	MaxJoinPackage  = 8 << 10
	MaxNotice       = 256
	MaxAdds         = 100  // of one commit
	MaxJoinPackages = 1000 // of one create
	MaxPins         = 1000 // of one request
	MaxKeyPackages  = 50   // of one device's pool
	MaxKeyPackage   = 8 << 10
	MaxInboxItem    = 8 << 10
	MaxMailboxItem  = 1 << 20
	MaxBlobPart     = 1 << 20
	MaxBlob         = 17 << 30 // a 16 GiB file with its chunks' tags and padding
	MaxLink         = 4 << 10  // one link of an account's chain
	MaxLinks        = 1000     // of one answer
	MaxHandle       = 32
	MaxReadEntries  = 1000
	MaxReadBytes    = 4 << 20 // of one answer, unless its first entry alone is larger
	MaxSubscribe    = 2000    // sessions of one subscription

	MaxBackupPointer = 256
	MaxBackupBlobs   = 4096 // of one account's backup
)
