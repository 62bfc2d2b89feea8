for (const button of document.querySelectorAll('.command button')) {
  const command = button.previousElementSibling;
  button.hidden = false; // without scripts it would do nothing
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
    } catch { // not every browser lets a local file write there
      getSelection().selectAllChildren(command);
      if (!document.execCommand('copy')) return;
      getSelection().removeAllRanges();
    }
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  };
}
