// Package switching measures whether anybody can see a switch of xp2p-abr: it
// encodes one source as two renditions in many ways, switches between them at
// random moments, and holds what comes out against the source, picture by picture.
//
// A switch is seamless if
//
//   - ffmpeg decodes the stream without a warning (but for its line about a
//     second moov, which players need and ffmpeg skips),
//   - it has as many pictures as the source, their times are the source's, one
//     behind the other, and no sound is missing for longer than a frame,
//   - sound and picture do not move against each other by more than 1 ms,
//   - every picture is at most 1 dB (PSNR against the source) worse than the worse
//     of the two renditions' own.
//
// The last one is what counts: streams that pass all others may have two broken
// pictures at a switch, and no player reports them.
package switching
