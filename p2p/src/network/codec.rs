//! The request protocol's frames: a little-endian `u32` length and that many bytes, then the end of the stream.
//!
//! Bound: the length is compared with the cap before anything is allocated, and memory grows with the bytes that
//! arrive, not with the length a stranger announced (THREATS B15).

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};
use std::io;
use tender_consensus::message::{Request, Response};
use tender_wire::Wire;

/// Room for what the node wraps around consensus' questions and answers.
const ENVELOPE_BYTES: usize = 64;
/// Largest request in bytes: consensus' largest question, in an envelope.
pub const MAX_REQUEST_BYTES: usize = Request::MAX_BYTES + ENVELOPE_BYTES;
/// Largest response in bytes: consensus' largest answer, in an envelope.
pub const MAX_RESPONSE_BYTES: usize = Response::MAX_BYTES + ENVELOPE_BYTES;

/// Reads and writes [`MAX_REQUEST_BYTES`]- and [`MAX_RESPONSE_BYTES`]-capped frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameCodec;

impl request_response::Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, MAX_REQUEST_BYTES).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, MAX_RESPONSE_BYTES).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &request, MAX_REQUEST_BYTES).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &response, MAX_RESPONSE_BYTES).await
    }
}

async fn read_frame<T: AsyncRead + Unpin + Send>(io: &mut T, max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length);
    if usize::try_from(length).map_or(true, |n| n > max) {
        return Err(invalid(format!("frame of {length} bytes, cap {max}")));
    }
    let mut frame = Vec::new();
    // One byte more than announced, to see that the stream ends there.
    let read = io
        .take(u64::from(length).saturating_add(1))
        .read_to_end(&mut frame)
        .await?;
    if u32::try_from(read) != Ok(length) {
        return Err(invalid(format!("frame of {length} bytes holds {read}")));
    }
    Ok(frame)
}

async fn write_frame<T: AsyncWrite + Unpin + Send>(
    io: &mut T,
    frame: &[u8],
    max: usize,
) -> io::Result<()> {
    let length = match u32::try_from(frame.len()) {
        Ok(length) if frame.len() <= max => length,
        _ => {
            return Err(invalid(format!(
                "frame of {} bytes, cap {max}",
                frame.len()
            )));
        }
    };
    io.write_all(&length.to_le_bytes()).await?;
    // The behaviour closes the stream's write half after us; the reader waits for that.
    io.write_all(frame).await
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{executor::block_on, io::Cursor};

    fn read(bytes: &[u8], max: usize) -> io::Result<Vec<u8>> {
        block_on(read_frame(&mut Cursor::new(bytes), max))
    }

    #[test]
    fn a_frame_comes_back() {
        for frame in [vec![], vec![7], vec![1; 100]] {
            let mut bytes = Vec::new();
            block_on(write_frame(&mut bytes, &frame, 100)).unwrap();
            assert_eq!(read(&bytes, 100).unwrap(), frame);
        }
    }

    #[test]
    fn b15_lying_lengths_are_refused() {
        assert!(read(&u32::MAX.to_le_bytes(), MAX_RESPONSE_BYTES).is_err());
        assert!(read(&[101, 0, 0, 0], 100).is_err());
        assert!(read(&[2, 0, 0, 0, 9], 100).is_err(), "short");
        assert!(read(&[2, 0, 0, 0, 9, 9, 9], 100).is_err(), "trailing");
        assert!(read(&[2, 0, 0], 100).is_err(), "no length");
        assert!(block_on(write_frame(&mut Vec::new(), &[0; 101], 100)).is_err());
    }
}
