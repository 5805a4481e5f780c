// Shows the video of a map that is pointed at; videos: [x, y, label, split, name, address, JPEG].
const map = document.querySelector('svg'), shown = document.getElementById('shown');
const [picture, gone, label, split, link] = ['img', '.gone', 'b', 'span', 'a'].map(
  name => shown.querySelector(name));
let current = 0;
const show = index => {
  const [x, y, named, part, name, address, jpeg] = videos[current = index];
  document.getElementById('ring').setAttribute('transform', `translate(${x} ${y})`);
  picture.src = jpeg && `data:image/jpeg;base64,${jpeg}`;
  picture.alt = `middle frame of ${name}`;
  picture.hidden = !jpeg;
  gone.hidden = !!jpeg;
  [label.textContent, split.textContent, link.textContent] = [named || 'no label', part, name];
  link.href = address;
};
const point = event => {
  const place = new DOMPoint(event.clientX, event.clientY);
  const {x, y} = place.matrixTransform(map.getScreenCTM().inverse());
  const far = ([left, top]) => (left - x) ** 2 + (top - y) ** 2;
  show(videos.reduce((best, each, n) => far(each) < far(videos[best]) ? n : best, 0));
};
map.addEventListener('pointermove', point);
map.addEventListener('pointerdown', point);
map.addEventListener('keydown', event => {
  const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
  if (step) show((current + step + videos.length) % videos.length);
});
show(0);
