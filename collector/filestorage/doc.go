// Package filestorage is an OpenTelemetry Collector extension that keeps what other components store in files, as the extension
// file_storage of the Collector's contributions does, and survives a full volume and a damaged file.
//
//	extensions:
//	  file_storage:
//	    directory: /var/lib/collector
//	    reserve_mib: 16
//
// It has the settings of that extension and uses it. New data is refused while the volume has less room than the reserve, so that what is
// stored already can be delivered and removed, which takes room too. A file that is damaged is set aside under another name at the start.
package filestorage
